"""The `waybill` command. Each command opens what it needs through services/wiring.py, asks, and prints.

Exit codes: 0 done; 1 the history breaks a law, or a comparison failed; 2 what was asked for cannot be done, and why;
130 stopped with Ctrl-C; 141 nobody read on (`| head`).
"""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services import report

app = typer.Typer(
    help="Waybill: an event-sourced order management system.", no_args_is_help=True, add_completion=False,
    rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
order_app = typer.Typer(help="Look at orders.", no_args_is_help=True)
stock_app = typer.Typer(help="Look at stock.", no_args_is_help=True)
audit_app = typer.Typer(help="Read the history as it was recorded.", no_args_is_help=True)
parked_app = typer.Typer(help="Events that a consumer could not handle.", no_args_is_help=True)
app.add_typer(order_app, name="order")
app.add_typer(stock_app, name="stock")
app.add_typer(audit_app, name="audit")
app.add_typer(parked_app, name="parked")

Home = Annotated[
    Path, typer.Option("--home", envvar="WAYBILL_HOME", help="The folder that holds everything of a shop.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
DEFAULT_HOME = Path(".waybill")

# As people write them, and as `audit replay` prints them.
TIMES = [f"%Y-%m-%d{time}" for time in ("", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%SZ", "T%H:%M:%S.%fZ", "T%H:%M:%S.%f")]

# As shells count them: 128 and the number of the signal.
INTERRUPTED = 130
READER_GONE = 141


class Refused(Exception):
    """What was asked for cannot be done; the message is a sentence that says why and what to do."""


# --- coming in -------------------------------------------------------------------------------------------------------


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    format_: Annotated[str, typer.Option("--format", help="What the files are written in: online-retail.")],
    opening_stock: Annotated[
        int, typer.Option(min=0, max=10_000_000, help="Units of each SKU that are in stock before it is first named.")
    ] = 1_000,
    location: Annotated[str, typer.Option(help="Where the opening stock lies.")] = "main",
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Import orders from files and carry them through all four workers. Repeating it adds nothing."""
    summary = _import(paths, format_, opening_stock, location, home)
    report.show(report.import_table(summary), as_json, summary)


def _import(paths: list[Path], format_: str, opening_stock: int, location: str, home: Path) -> dict[str, Any]:
    from services.gateway.importer import FORMATS, Importer, checked_files, checked_location
    from services.wiring import open_home

    if format_ not in FORMATS:
        raise Refused(f"there is no format {format_!r}; choose one of: {', '.join(sorted(FORMATS))}")
    checked_files(paths, FORMATS[format_])  # before a home is made for nothing
    checked_location(location)
    with open_home(home) as house, report.import_progress() as progress:
        importer = Importer(
            house.store, house.home, FORMATS[format_], opening_stock or None, location, house.keep_up, house.catch_up
        )
        summary = importer.run(paths, progress)
        return summary.as_json()


@app.command()
def demo(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Import one real trading day through all four workers and show what came of it."""
    day = Path(__file__).parents[1] / "tests" / "data" / "online-retail-2010-12-01.csv"
    if not day.exists():
        raise Refused(f"the sample day is not there: {day}. Run the demo from a checkout of the repository")
    report.say(f"One trading day of a UK gift wholesaler, 1 December 2010, into {home}.")
    # So little in stock that some orders have to wait for more: that is shown, too.
    summary = _import([day], "online-retail", 500, "main", home)
    found = {"import": summary, "status": _status(home)}
    report.show(report.demo_table(found["import"], found["status"]), as_json, found, footer=report.demo_footer(home))


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on (WAYBILL_HTTP_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="The port (WAYBILL_HTTP_PORT); 0: any.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Serve the API and the page, with all workers running, until stopped with Ctrl-C."""
    from services.server.serving import serve
    from services.wiring import open_home

    with open_home(home) as house:
        settings = house.settings
        serve(house, host or settings.http_host, settings.http_port if port is None else port)


@app.command("run")
def run_roles(
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="What this process does: see docs/cluster.md.")],
) -> None:
    """Play one or several roles of a cluster until stopped: order, payment, inventory, shipping, relay, ..."""
    from services.cluster.process import run
    from services.runtime.settings import Settings

    run(roles, Settings(), say=report.say)


@app.command("migrate")
def migrate_home(
    to: Annotated[
        str, typer.Option("--to", envvar="WAYBILL_STORE_URL", help="The cluster's PostgreSQL: an empty one.")
    ],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Move a home into a cluster's database: the same log, the same work done, the same left to do."""
    from services.cluster.migrate import migrate

    moved = migrate(home, to)
    report.show(
        f"Moved {moved.events:,} events to position {moved.last_position:,}. The home {home} is as it was.",
        as_json,
        moved._asdict(),
    )


# --- looking ---------------------------------------------------------------------------------------------------------


@app.command()
def status(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Orders by status, holds, events, and how far every consumer and projection is."""
    found = _status(home)
    report.show(report.status_tables(found), as_json, found)


def _status(home: Path) -> dict[str, Any]:
    from services.wiring import open_reads

    with open_reads(home) as reads:
        return reads.status()


@order_app.command("show")
def order_show(
    order_id: Annotated[str | None, typer.Argument(metavar="ID", help="The order's id.")] = None,
    channel: Annotated[str | None, typer.Option(help="The shop's channel, with --number.")] = None,
    number: Annotated[str | None, typer.Option(help="The channel's own order number.")] = None,
    at: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="As it stood at this time (UTC), as we knew it then.")
    ] = None,
    position: Annotated[int | None, typer.Option(min=1, help="As it stood at this position of the log.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """One order: its state and its timeline, now or at an earlier moment."""
    from services.wiring import open_reads

    order_id = _order_id(order_id, channel, number)
    with open_reads(home) as reads:
        found = reads.order(order_id) if at is None and position is None else reads.order_at(order_id, at, position)
    if found is None:
        when = "" if at is None and position is None else " at that moment"
        raise Refused(f"there is no order {order_id}{when} in {home}")
    report.show(report.order_tables(found), as_json, found)


def _order_id(order_id: str | None, channel: str | None, number: str | None) -> str:
    from events.order import OrderKey

    if order_id is not None and channel is None and number is None:
        return order_id
    if order_id is None and channel is not None and number is not None:
        return OrderKey(channel, number).order_id
    raise Refused("name one order: either its ID, or --channel and --number together")


@stock_app.command("show")
def stock_show(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The article.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """One article: its stock by location and its latest movements."""
    from services.wiring import open_reads

    with open_reads(home) as reads:
        found = reads.stock(sku.upper())
    if found is None:
        raise Refused(f"we have never stocked {sku.upper()}")
    report.show(report.stock_tables(found), as_json, found)


@app.command()
def insights(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """What is going on now: orders, revenue and declines by window, the pace of articles, alerts."""
    from services.outlook import insights_of
    from services.runtime.settings import Settings
    from services.wiring import open_reads

    settings = Settings()
    with open_reads(home, settings) as reads:
        found = insights_of(reads.store, reads.views, settings)
    if found is None:
        raise Refused("nothing was counted yet: the role `insights` has to run (docs/cluster.md)")
    report.show(report.insights_tables(found), as_json, found)


# --- proving ---------------------------------------------------------------------------------------------------------


@app.command()
def verify(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Fold the whole log and check that every law holds. Exit 1 and the first violating event if one does not."""
    from services.audit.verify import verify as fold
    from services.wiring import open_store_of

    with open_store_of(home) as store, report.event_progress("verifying", store.last_position()) as progress:
        verdict = fold(store, progress=progress)
    found = verdict.as_json()
    report.show(report.verify_tables(found), as_json, found)
    if not verdict.ok:
        raise typer.Exit(1)


@app.command()
def rebuild(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Build the read models anew from the log, compare them with the live ones, and put them in place."""
    from services.wiring import open_reads

    with open_reads(home) as reads, report.event_progress("rebuilding", reads.store.last_position()) as progress:
        found = reads.rebuild(progress)
    report.show(report.rebuild_tables(found), as_json, found)
    if not found["identical"]:
        raise typer.Exit(1)


@audit_app.command("replay")
def audit_replay(
    from_: Annotated[int, typer.Option("--from", min=1, help="The first position.")] = 1,
    to: Annotated[int | None, typer.Option("--to", min=1, help="The last position.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    personal_data: Annotated[bool, typer.Option(help="Show contacts and addresses as well.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
) -> None:
    """Print history as it was recorded. Reads only: no provider is called."""
    from services.audit.replay import replay
    from services.wiring import open_store_of

    with open_store_of(home) as store:
        replay(
            store,
            from_position=from_,
            to_position=to,
            stream=stream,
            json=as_json,
            personal_data=personal_data,
            write_line=report.line,
        )


# --- parked events ---------------------------------------------------------------------------------------------------


@parked_app.command("list")
def parked_list(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """Every parked event: which consumer, where in the log, and why."""
    from services.wiring import open_store_of, parked_events

    with open_store_of(home) as store:
        found = [parked._asdict() for parked in parked_events(store)]
    report.show(report.parked_table(found), as_json, {"parked": found})


@parked_app.command("replay")
def parked_replay(
    consumer: Annotated[str, typer.Argument(help="The consumer, as `waybill parked list` names it.")],
    stream: Annotated[str | None, typer.Option(help="Only this stream's events.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Handle parked events again, after their cause was mended, and everything that follows from them."""
    from services.wiring import open_home

    with open_home(home) as house:
        worker = _parkable(house.parkable, consumer)
        replayed = [parked._asdict() for parked in worker.replay_parked(stream)]
        still = [parked._asdict() for parked in worker.parking.entries() if stream in (None, parked.stream)]
        house.catch_up()
    report.show(report.replayed_tables(replayed, still), as_json, {"replayed": replayed, "still_parked": still})


@parked_app.command("drop")
def parked_drop(
    consumer: Annotated[str, typer.Argument(help="The consumer, as `waybill parked list` names it.")],
    position: Annotated[int, typer.Argument(min=1, help="The parked event's position.")],
    reason: Annotated[str, typer.Option(help="Why it shall not be handled; goes into the log.")],
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
) -> None:
    """Decide that a parked event shall not be handled."""
    from events.store import utc_now
    from services.wiring import open_home

    with open_home(home) as house:
        parking = _parkable(house.parkable, consumer).parking
        if not parking.has(position):
            raise Refused(f"{consumer} has no parked event at position {position}; see `waybill parked list`")
        dropped = parking.drop(position, reason, actor="cli", now=utc_now())
    report.show(f"Dropped position {position} of {dropped.stream}.", as_json, {"dropped": dropped._asdict()})


def _parkable(parkable: dict[str, Any], consumer: str) -> Any:
    if consumer not in parkable:
        raise Refused(f"there is no consumer {consumer!r}; there are: {', '.join(sorted(parkable))}")
    return parkable[consumer]


# --- the command itself ----------------------------------------------------------------------------------------------


def main() -> None:
    """Run the command; what the user can mend is said in one sentence, with exit code 2."""
    sys.exit(_run())


def _run() -> int:
    from services.faults import in_words

    try:
        code = _command()
        report.finish()
        return code
    except report.ReaderGone:
        report.hush()
        return READER_GONE
    except Exception as error:
        sentence = str(error) if isinstance(error, Refused) else in_words(error)
        if sentence is None:
            raise
        report.complain(sentence)
        return 2


def _command() -> int:
    """The exit code of what was typed: the library ends every command with SystemExit."""
    code: object = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing left to stop
        report.complain("stopped; nothing is half-done: the same command again goes on")
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
