"""Quantiles of durations from counts in fixed buckets: they add up, over panes, slots and processes, in any order.

A bucket's upper end is 1.1 times that of the one before. What is answered is the geometric middle of a bucket, so that
it is wrong by at most 4.9 % (the square root of 1.1), whatever the distribution. Between 1 s and 400 days; what is
shorter or longer counts as that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate, takewhile

GROWTH = 1.1
_LONGEST_S = 400 * 86_400

BOUNDS_S: tuple[float, ...] = tuple(
    takewhile(
        lambda bound: bound < _LONGEST_S * GROWTH, accumulate([GROWTH] * 400, lambda one, by: one * by, initial=1.0)
    )
)
"""The upper ends of the buckets: 184 of them, 1 s to 430 days."""


def bucket_of(duration_ms: int) -> str:
    """The name of the bucket: its place among them, as the keys of JSON objects are texts."""
    return str(min(bisect_left(BOUNDS_S, duration_ms / 1_000), len(BOUNDS_S) - 1))


def quantile_s(counts: Mapping[str, int], share: float) -> float | None:
    """The duration that this share of all did not exceed, in seconds; None if there are none."""
    wanted = share * sum(counts.values())
    seen = 0
    for bucket in sorted(map(int, counts)):
        seen += counts[str(bucket)]
        if seen >= wanted:
            return round(_middle_s(bucket), 3)
    return None


def _middle_s(bucket: int) -> float:
    return float(BOUNDS_S[bucket] / GROWTH**0.5) if bucket else BOUNDS_S[0]
