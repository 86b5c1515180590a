"""How long the fuzzers look: briefly and at the same inputs each time, unless one asks for more.

WAYBILL_TEST_FUZZ=20 looks twenty times as long, and at other inputs each time. What it finds goes into the test as an
example, so that it is looked at for ever.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("WAYBILL_TEST_FUZZ", "1"))


def looking_at(examples: int) -> settings:
    """Settings for so many examples, times the factor."""
    return settings(
        max_examples=max(1, round(examples * FACTOR)),
        derandomize=FACTOR == 1,
        database=None,
        deadline=None,
        # What is drawn here is large, and drawn from what a stranger described: slow is no fault of it.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
