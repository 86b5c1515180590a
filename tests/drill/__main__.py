"""`python -m tests.drill [--orders N] [--faults N] [--rate N] [--seed N] [--folder DIR] [--json]`

Starts the whole cluster as processes of this machine, sends real orders, and strikes one fault after another. Exit 1
if anything was lost, doubled, oversold, charged twice, stuck or different in the end, or recovery takes too long.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from deploy.local.machine import ServerError
from tests.drill.run import Wanted, drill


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description="Faults under load, on real servers.")
    parser.add_argument("--orders", type=int, default=20_000, help="how many (default 20000), probes not counted")
    parser.add_argument("--faults", type=int, default=108, help="how many (default 108: every kind four times)")
    parser.add_argument("--rate", type=float, default=15.0, help="orders a second (default 15)")
    parser.add_argument("--seed", type=int, default=1, help="chooses orders and faults")
    parser.add_argument("--kinds", default="", help="only these kinds of faults, with commas between them")
    parser.add_argument("--folder", type=Path, help="keep everything, logs included, in this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="waybill-drill-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL may have to run as another user
    kinds = frozenset(kind for kind in chosen.kinds.split(",") if kind)
    try:
        report = drill(Wanted(chosen.orders, chosen.faults, chosen.rate, chosen.seed, folder, kinds))
    except ServerError as error:
        print(f"drill: {error}", file=sys.stderr)
        return 2
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(report, indent=None if chosen.json else 1))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
