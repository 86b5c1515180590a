"""What the command line prints: tables for people, one JSON line for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from events.money import minor_exponent

# Of 100: what fits on a screen.
_FASTEST = 10


class ReaderGone(Exception):
    """Nobody reads our standard output any more (`| head`): there is nobody left to tell."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise ReaderGone


_console = _Console(highlight=False)
_errors = Console(stderr=True, highlight=False)


def show(shown: RenderableType, as_json: bool, found: Any, *, footer: str = "") -> None:
    """The table, a footer with lines as they are, and with `as_json` the object as the last line."""
    _console.print(shown, markup=False) if isinstance(shown, str) else _console.print(shown, crop=False)
    if footer:
        line(footer)
    if as_json:
        line(orjson.dumps(found, default=str, option=orjson.OPT_NON_STR_KEYS).decode())


def say(sentence: str) -> None:
    _console.print(sentence, markup=False)


def complain(sentence: str) -> None:
    _errors.print(f"waybill: {sentence}", markup=False, soft_wrap=True)


def line(text: str) -> None:
    """One line as it is, however long."""
    try:
        sys.stdout.write(text + "\n")
    except BrokenPipeError:
        raise ReaderGone from None


def finish() -> None:
    """Everything was said: hand over what is still held back, as long as somebody can be told if that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def hush() -> None:
    """What is still to be said goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- progress --------------------------------------------------------------------------------------------------------


@contextmanager
def import_progress() -> Iterator[Callable[[int, int, int, int], None]]:
    """A bar over the bytes of the files, with lines, orders/s and the time that is left."""
    columns = (
        TextColumn("importing"),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines  {task.fields[orders]:,} orders  {task.fields[speed]:,.0f} orders/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as bar:
        task = bar.add_task("import", total=None, lines=0, orders=0, speed=0.0)

        def tell(lines: int, bytes_done: int, bytes_total: int, orders: int) -> None:
            elapsed_s = bar.tasks[0].elapsed or 0.0
            speed = orders / elapsed_s if elapsed_s else 0.0
            bar.update(task, completed=bytes_done, total=bytes_total, lines=lines, orders=orders, speed=speed)

        yield tell


@contextmanager
def event_progress(doing: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar over positions of the log; told the position reached and the head."""
    columns = (TextColumn(doing), BarColumn(), TextColumn("{task.completed:,.0f} events"), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda position, head: bar.update(task, completed=position, total=head)


# --- tables ----------------------------------------------------------------------------------------------------------


def _pairs(title: str, rows: Mapping[str, Any]) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), _plain(value))
    return Group(Text(title, style="bold"), table)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def _columns(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2))
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if rows and isinstance(rows[0][index], int) else "left")
    for row in rows:
        table.add_row(*[_plain(value) for value in row])
    return Group(Text(title, style="bold"), table)


def _whole(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
    """Columns that are never cut or folded: what stands in them is copied into the next command."""
    texts = [names, *[[str(value) for value in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ["  ".join(map(str.ljust, text, widths)).rstrip() for text in texts]
    return Group(Text(title, style="bold"), Text("\n".join(lines), no_wrap=True, overflow="ignore"))


def money(minor_by_currency: Mapping[str, int]) -> str:
    """{"GBP": 123456} as "1,234.56 GBP"."""
    parts = []
    for currency, minor in minor_by_currency.items():
        exponent = minor_exponent(currency) or 0
        parts.append(f"{Decimal(minor).scaleb(-exponent):,.{exponent}f} {currency}")
    return ", ".join(parts) or "0"


def import_table(summary: Mapping[str, Any]) -> RenderableType:
    rejected: dict[str, int] = summary["rejected"]
    facts = {name: value for name, value in summary.items() if name != "rejected"}
    tables: list[RenderableType] = [_pairs("Imported", facts)]
    if rejected:
        tables.append(_pairs("Rejected lines (see the folder rejects in the home)", rejected))
    return Group(*tables)


def demo_table(summary: Mapping[str, Any], status: Mapping[str, Any]) -> RenderableType:
    facts = {
        "orders": status["orders"],
        **{f"  {name}": count for name, count in status["by_status"].items()},
        **{f"  held: {name}": count for name, count in status["holds"].items()},
        "revenue (captured)": money(status["captured_minor"]),
        "units shipped": status["units_shipped"],
        "SKUs low on stock": status["low_stock"],
        "events": status["events"],
        "orders/s": summary["orders_per_s"],
        "lines rejected": sum(summary["rejected"].values()),
    }
    return _pairs("\nThe day, order by order, through all four workers", facts)


def demo_footer(home: Path) -> str:
    flag = "" if home == Path(".waybill") else f" --home {home}"
    return (
        "\nLook further:\n"
        f"  .venv/bin/waybill order show --channel online-retail --number 536365{flag}\n"
        f"  .venv/bin/waybill stock show 85123A{flag}\n"
        f"  .venv/bin/waybill audit replay --to 20{flag}\n"
        f"  .venv/bin/waybill verify{flag}\n"
        f"  .venv/bin/waybill up{flag}        the page and the API\n"
    )


def status_tables(found: Mapping[str, Any]) -> RenderableType:
    facts = {
        "orders": found["orders"],
        **{f"  {name}": count for name, count in found["by_status"].items()},
        **{f"  held: {name}": count for name, count in found["holds"].items()},
        "captured": money(found["captured_minor"]),
        "refunded": money(found["refunded_minor"]),
        "units shipped": found["units_shipped"],
        "SKUs": found["skus"],
        "  low on stock": found["low_stock"],
        "units backordered": found["backordered_units"],
        "events": found["events"],
        "parked": found["parked"],
    }
    return Group(_pairs("Status", facts), _pairs("\nLag, in positions", found["lag"]))


def order_tables(found: Mapping[str, Any]) -> RenderableType:
    facts = {
        "id": found["order_id"],
        "channel, number": f"{found['channel']}, {found['number']}",
        "status": found["status"],
        "holds": ", ".join(found["holds"]) or "-",
        "payment": found["payment"],
        "total": money({found["currency"]: found["total_minor"]}) if found["currency"] else "-",
        **{f"units {name}": count for name, count in found["units"].items() if count},
    }
    tables: list[RenderableType] = [_pairs("Order", facts)]
    tables.extend(f"  ! {problem['message']}" for problem in found["problems"])
    if found.get("lines"):
        lines = [[one["sku"], one["quantity"], one["unit_price"], one["description"]] for one in found["lines"]]
        tables.append(_columns("\nLines", ("sku", "units", "price", "description"), lines))
    return Group(*tables, _timeline(found["timeline"], "type", "facts"))


def stock_tables(found: Mapping[str, Any]) -> RenderableType:
    names = ("on_hand", "allocated", "reserved", "available", "incoming")
    rows = [[place, *[balance[name] for name in names]] for place, balance in sorted(found["locations"].items())]
    facts = {"sku": found["sku"], "low": found["low"], "backordered": found["backordered"]}
    stock = _columns("\nBy location", ("location", *[name.replace("_", " ") for name in names]), rows)
    return Group(
        _pairs("Stock", facts), stock, _timeline(found["timeline"], "movement", "reference", "location", "units")
    )


def _timeline(entries: Sequence[Mapping[str, Any]], *names: str) -> RenderableType:
    rows = [
        [entry["position"], _seconds(entry["occurred_at"]), *[_facts(entry.get(name, "")) for name in names]]
        for entry in entries
    ]
    return _whole("\nTimeline", ("position", "occurred", *names), rows)


def _seconds(moment: Any) -> str:
    return str(moment)[:19].replace("T", " ")


def _facts(value: Any) -> str:
    if isinstance(value, Mapping):
        return "  ".join(f"{name}={fact}" for name, fact in value.items())
    return str(value)


def insights_tables(found: Mapping[str, Any]) -> RenderableType:
    tables = [one for clock, windows in found["clocks"].items() for one in _clock_tables(clock, windows)]
    return Group(*tables, Text("\nAlerts", style="bold"), *(list(map(_alert, found["alerts"])) or ["  none"]))


def _clock_tables(clock: str, found: Mapping[str, Any]) -> list[RenderableType]:
    hour = found["hours"][-1]
    took = hour["placed_to_shipped"]
    facts = {
        **{f"orders, {channel}": count for channel, count in hour["orders"].items()},
        **{f"revenue, {channel}": money(revenue) for channel, revenue in hour["revenue_minor"].items()},
        "declined": hour["declines"],
        "orders shipped": took["orders"],
        "seconds from placed to shipped, p50": took["p50_s"],
        "seconds from placed to shipped, p95": took["p95_s"],
    }
    title = f"\nThe hour from {_seconds(hour['start'])}" + ("" if clock == "wall" else f", {clock}")
    pace = [[one["sku"], one["units_per_hour"]] for one in found["velocity"][:_FASTEST]]
    return [_pairs(title, facts), *([_columns("\nFastest", ("sku", "units per hour"), pace)] if pace else [])]


def _alert(alert: Mapping[str, Any]) -> str:
    if alert["kind"] == "sells_out":
        return f"  ! {alert['sku']} sells out in {alert['hours']:.1f} hours: {alert['available']:,} are available"
    return f"  ! {alert['orders']:,} orders of one {alert['by']} within an hour, {alert['in_excess']:,} too many"


def verify_tables(found: Mapping[str, Any]) -> RenderableType:
    violations = found.get("violations", [])
    facts = {name: value for name, value in found.items() if isinstance(value, bool | int | float | str)}
    tables: list[RenderableType] = [_pairs("Verified", facts)]
    tables.extend(f"  ! {_facts(violation)}" for violation in violations)
    return Group(*tables)


def rebuild_tables(found: Mapping[str, Any]) -> RenderableType:
    facts = {name: value for name, value in found.items() if name != "differences"}
    tables: list[RenderableType] = [_pairs("Rebuilt", facts)]
    tables.extend(f"  ! {difference}" for difference in found["differences"])
    return Group(*tables)


def parked_table(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    if not found:
        return "Nothing is parked."
    names = ("consumer", "position", "stream", "event_type", "reason")
    return _whole("Parked", names, [[one[name] for name in names] for one in found])


def replayed_tables(replayed: Sequence[Mapping[str, Any]], still: Sequence[Mapping[str, Any]]) -> RenderableType:
    return Group(f"{len(replayed)} handled, {len(still)} still parked.", parked_table(still))
