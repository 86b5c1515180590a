"""`python -m tests.bench pipeline [--orders N] [--rounds N] [--json]`"""

from __future__ import annotations

import argparse

from tests.bench.pipeline import run_pipeline


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Waybill's benchmarks.")
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    pipeline = benchmarks.add_parser("pipeline", help="orders per second: ours, a peer and the floor")
    # 2,000 orders are long enough that start-up does not show, and short enough for three rounds in a minute.
    pipeline.add_argument("--orders", type=_at_least_one, default=2_000, help="orders per round (default 2000)")
    pipeline.add_argument("--rounds", type=_at_least_one, default=3, help="figures are medians over them (default 3)")
    pipeline.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen = parser.parse_args()
    run_pipeline(orders=chosen.orders, rounds=chosen.rounds, as_json=chosen.json)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
