"""`python -m tests.bench pipeline [--orders N] [--rounds N] [--json]`
`python -m tests.bench postgres [--rounds N] [--stored N] [--json]`
`python -m tests.bench faust [--events N] [--rounds N] [--json]`
"""

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
    postgres = benchmarks.add_parser("postgres", help="events per second into PostgreSQL: ours and psycopg alone")
    postgres.add_argument("--rounds", type=_at_least_one, default=3, help="times 20,000 events a side (default 3)")
    postgres.add_argument("--stored", type=int, default=0, help="also compare an empty log with one of so many events")
    postgres.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    faust = benchmarks.add_parser("faust", help="events per second out of Kafka: Faust, and aiokafka's batches")
    # Several seconds for Faust, half a second for aiokafka.
    faust.add_argument("--events", type=_at_least_one, default=30_000, help="events per arm (default 30000)")
    faust.add_argument("--rounds", type=_at_least_one, default=3, help="figures are medians over them (default 3)")
    faust.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen = parser.parse_args()
    if chosen.benchmark == "postgres":
        _postgres(chosen)
    elif chosen.benchmark == "faust":
        _faust(chosen)
    else:
        run_pipeline(orders=chosen.orders, rounds=chosen.rounds, as_json=chosen.json)


def _postgres(chosen: argparse.Namespace) -> None:
    from tests.bench.postgres import run_postgres  # here: it needs psycopg, an extra

    run_postgres(rounds=chosen.rounds, stored=chosen.stored, as_json=chosen.json)


def _faust(chosen: argparse.Namespace) -> None:
    from tests.bench.faust import run_faust  # here: it needs a Kafka on the machine

    run_faust(events=chosen.events, rounds=chosen.rounds, as_json=chosen.json)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
