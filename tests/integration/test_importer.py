"""Files into a log: every line accounted for, nothing doubled, nothing lost, whatever interrupts it."""

from __future__ import annotations

import csv
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from events.base import Event, NewEvent, Recorded, Tracked, Write
from events.gateway import StockAdjustmentReported, StockReceiptReported, report_stream
from events.order import OrderIntakeConflicted, OrderKey, OrderPlaced, order_stream
from events.recorders.memory import MemoryRecorder
from events.store import EventStore, StoreUnavailable, VersionConflict, open_store
from services.gateway import importer
from services.gateway.import_faults import ImportInterrupted, ImportRefused
from services.gateway.import_summary import ImportSummary, exact_decimal
from services.gateway.importer import FORMATS, Importer
from services.gateway.online_retail import COLUMNS

DAY = Path(__file__).parents[1] / "data" / "online-retail-2010-12-01.csv"
HEADER = ",".join(COLUMNS)
GOOD = "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"
OTHER = "536366,71053,LANTERN,2,2010-12-01 08:28:00,3.39,,France"
CHANGED = "536365,85123A,HEART,7,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"
NEXT_DAY = "536598,85123A,HEART,6,2010-12-02 07:48:00,2.55,17850.0,United Kingdom"
CANCELLED = "C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom"
WRITE_OFF = "536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom"


@pytest.fixture
def store() -> Iterator[EventStore]:
    log = open_store("memory:")
    yield log
    log.close()


def nothing(*_: object) -> None:
    """A pump without workers, a progress bar that nobody looks at."""


def run(
    store: EventStore,
    home: Path,
    *paths: Path,
    opening_stock: int | None = None,
    pump: Callable[[], object] = nothing,
    progress: importer.Progress = nothing,
) -> ImportSummary:
    return Importer(store, home, FORMATS["online-retail"], opening_stock, "main", pump).run(paths, progress)


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def log_of(store: EventStore) -> list[Recorded]:
    return store.read_after(0, limit=100_000)


def timeless(store: EventStore) -> list[Recorded]:
    """The log without the store's own clock: what two runs can have in common."""
    return [recorded._replace(recorded_at=recorded.occurred_at) for recorded in log_of(store)]


def events_of(store: EventStore) -> list[Event]:
    return [recorded.event for recorded in log_of(store)]


def without_timing(summary: ImportSummary) -> dict[str, object]:
    timing = {"seconds", "orders_per_s", "new_orders", "already_imported"}
    return {key: value for key, value in summary.as_json().items() if key not in timing}


def rejects(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "rejects").iterdir()}


# --- a day --------------------------------------------------------------------------------------------------------


def test_a_real_day(store: EventStore, home: Path) -> None:
    summary = run(store, home, DAY)
    assert without_timing(summary) == {
        "lines_read": 3108,
        "orders": 136,
        "goods_lines": 3073,
        "charge_lines": 8,
        "adjustment_lines": 1,
        "rejected": {"cancellation_not_yet_supported": 26},
        "units": 26997,
        "gross": "58960.79",
        "files": 1,
    }
    assert (summary.new_orders, summary.already_imported) == (136, 0)
    assert summary.seconds > 0
    assert summary.orders_per_s > 0
    kinds = [type(event) for event in events_of(store)]
    assert (kinds.count(OrderPlaced), kinds.count(StockAdjustmentReported), len(kinds)) == (136, 1, 137)


def test_what_was_imported_is_found_by_channel_and_number(store: EventStore, home: Path) -> None:
    run(store, home, DAY)
    [placed] = store.read_stream(order_stream(OrderKey("online-retail", "536365").order_id))
    assert isinstance(placed.event, OrderPlaced)
    assert (placed.event.total_minor, placed.event.customer, len(placed.event.lines)) == (13912, "17850", 7)
    assert placed.occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert (placed.clock, placed.actor, placed.correlation_id) == ("online-retail", "import", placed.event.order_id)


def test_importing_twice_adds_nothing(store: EventStore, home: Path) -> None:
    first = run(store, home, DAY, opening_stock=1000)
    log, refused = log_of(store), rejects(home)
    second = run(store, home, DAY, opening_stock=1000)
    assert (log_of(store), rejects(home)) == (log, refused)
    assert without_timing(second) == without_timing(first)
    assert (second.new_orders, second.already_imported) == (0, 136)


def test_progress_goes_forward_to_the_end(store: EventStore, home: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, int, int]] = []
    run(store, home, DAY, write(tmp_path / "more.csv", NEXT_DAY), progress=lambda *now: told.append(now))
    assert told == sorted(told)
    size = DAY.stat().st_size + (tmp_path / "more.csv").stat().st_size
    assert told[-1] == (3109, size, size, 137)


# --- interruptions ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nobody catches it."""


class Fuse:
    """A pump that blows at its n-th call."""

    def __init__(self, calls: int) -> None:
        self.calls_left = calls

    def __call__(self) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise Killed


class FailingStore(EventStore):
    """Fails at its n-th append: before the commit, or after it, when only the answer is lost."""

    appends_left = 0
    commits_first = False

    def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
        self.appends_left -= 1
        if self.appends_left != 0:
            return super().append(writes, tracked=tracked)
        if self.commits_first:
            super().append(writes, tracked=tracked)
        raise Killed


def several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One day is one batch; for these tests it shall be ten."""
    monkeypatch.setattr(importer, "BATCH_INTAKES", 16)
    monkeypatch.setattr(importer, "STEP_LINES", 300)


@pytest.fixture
def undisturbed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[list[Recorded], dict[str, object], dict[str, bytes]]:
    several_batches(monkeypatch)
    log = open_store("memory:")
    summary = run(log, tmp_path / "undisturbed", DAY, opening_stock=500)
    return timeless(log), without_timing(summary), rejects(tmp_path / "undisturbed")


Undisturbed = tuple[list[Recorded], dict[str, object], dict[str, bytes]]


@pytest.mark.parametrize("call", range(1, 10))
def test_interrupted_in_the_pump_and_run_again(
    store: EventStore, home: Path, call: int, undisturbed: Undisturbed
) -> None:
    with pytest.raises(Killed):
        run(store, home, DAY, opening_stock=500, pump=Fuse(call))
    assert [name for name in rejects(home) if name.endswith(".part")] == []
    summary = run(store, home, DAY, opening_stock=500)
    assert (timeless(store), without_timing(summary), rejects(home)) == undisturbed


@pytest.mark.parametrize("commits_first", [False, True])
@pytest.mark.parametrize("append", range(1, 10))
def test_interrupted_in_the_append_and_run_again(
    home: Path, append: int, commits_first: bool, undisturbed: Undisturbed
) -> None:
    store = FailingStore(MemoryRecorder())
    store.appends_left, store.commits_first = append, commits_first
    with pytest.raises(Killed):
        run(store, home, DAY, opening_stock=500)
    summary = run(store, home, DAY, opening_stock=500)
    assert (timeless(store), without_timing(summary), rejects(home)) == undisturbed


def test_what_a_killed_process_left_of_its_rejects_is_no_hindrance(store: EventStore, home: Path) -> None:
    (home / "rejects").mkdir()
    (home / "rejects" / f"{DAY.name}.rejects.csv.part").write_text("torn")
    run(store, home, DAY)
    assert list(rejects(home)) == [f"{DAY.name}.rejects.csv"]


def test_the_workers_catch_up_before_the_backlog_grows(
    store: EventStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several_batches(monkeypatch)
    heights: list[int] = []
    run(store, home, DAY, pump=lambda: heights.append(store.last_position()))
    grown = [after - before for before, after in zip([0, *heights], heights, strict=False)]
    assert max(grown) <= 2 * 16
    assert heights[-1] == 137


# --- the same number with another content ---------------------------------------------------------------------------


def test_another_content_under_a_known_number_is_reported_once(store: EventStore, home: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "1.csv", GOOD, OTHER)
    second = write(tmp_path / "2.csv", CHANGED)
    for _ in range(2):
        summary = run(store, home, first, second)
        assert (summary.orders, summary.goods_lines, summary.lines_read) == (2, 2, 3)
        assert summary.rejected == {"conflicting_invoice": 1}
    placed, reported = store.read_stream(order_stream(OrderKey("online-retail", "536365").order_id))
    assert isinstance(placed.event, OrderPlaced)
    conflict = reported.event
    assert isinstance(conflict, OrderIntakeConflicted)
    assert conflict.received_digest != conflict.accepted_digest
    assert CHANGED in rejects(home)["2.csv.rejects.csv"].decode()


def test_a_number_that_comes_back_in_the_same_file(store: EventStore, home: Path, tmp_path: Path) -> None:
    """Far apart, so that the first part is decided already; the second time with the same lines, then with others."""
    apart = [f"C{n},D,Discount,-1,2010-12-01 09:41:00,27.5,,France" for n in range(5_000)]
    summary = run(store, home, write(tmp_path / "day.csv", GOOD, *apart, GOOD, *apart, CHANGED))
    assert (summary.orders, summary.new_orders, summary.already_imported) == (2, 1, 1)
    assert summary.rejected == {"cancellation_not_yet_supported": 10_000, "conflicting_invoice": 1}
    assert [type(event) for event in events_of(store)] == [OrderPlaced, OrderIntakeConflicted]


def test_a_write_off_with_another_content_is_rejected(store: EventStore, home: Path, tmp_path: Path) -> None:
    run(store, home, write(tmp_path / "1.csv", WRITE_OFF))
    summary = run(store, home, write(tmp_path / "2.csv", WRITE_OFF.replace("-10", "-11")))
    assert (summary.adjustment_lines, summary.rejected) == (0, {"conflicting_invoice": 1})
    assert len(events_of(store)) == 1


def test_workers_have_written_to_the_order_since(store: EventStore, home: Path, tmp_path: Path) -> None:
    """What follows an order in its stream has no say in whether the file's content is the same."""
    file = write(tmp_path / "day.csv", GOOD)
    run(store, home, file)
    [placed] = log_of(store)
    conflict = OrderIntakeConflicted(order_id=placed.correlation_id, received_digest="a", accepted_digest="b")
    store.append([Write(placed.stream, 1, [NewEvent(conflict, placed.occurred_at, "", "", "test")])])
    assert run(store, home, file).already_imported == 1
    assert run(store, home, write(tmp_path / "other.csv", CHANGED)).rejected == {"conflicting_invoice": 1}
    assert [recorded.version for recorded in store.read_stream(placed.stream)] == [1, 2, 3]


class RacingStore(EventStore):
    """Somebody else sends the same order between our look and our append."""

    rival: Write | None = None

    def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            super().append([rival])
        return super().append(writes, tracked=tracked)


def test_a_race_with_the_same_order_is_decided_by_the_log(home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "day.csv", GOOD, OTHER)
    elsewhere = open_store("memory:")
    run(elsewhere, home, file)
    first, _ = log_of(elsewhere)
    store = RacingStore(MemoryRecorder())
    store.rival = Write(first.stream, 0, [NewEvent(first.event, first.occurred_at, "", "", "http")])
    summary = run(store, home, file)
    assert (summary.orders, summary.new_orders) == (2, 1)
    assert len(log_of(store)) == 2


class HopelessStore(EventStore):
    def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
        raise VersionConflict(writes[0].stream, 0, 1)


def test_endless_races_are_given_up(home: Path, tmp_path: Path) -> None:
    store = HopelessStore(MemoryRecorder())
    with pytest.raises(VersionConflict):
        run(store, home, write(tmp_path / "day.csv", GOOD))


# --- opening stock ------------------------------------------------------------------------------------------------


def test_each_sku_gets_its_opening_stock_before_it_is_first_named(
    store: EventStore, home: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "day.csv", GOOD, OTHER, GOOD.replace("536365", "536367"), WRITE_OFF)
    run(store, home, file, opening_stock=70)
    log = log_of(store)
    receipts = [recorded for recorded in log if isinstance(recorded.event, StockReceiptReported)]
    assert [recorded.event for recorded in receipts] == [
        StockReceiptReported(reference=f"opening-stock/{sku}", lines={"main": {sku: 70}})
        for sku in ("85123A", "71053", "21777")
    ]
    assert [recorded.position for recorded in receipts] == [1, 2, 3]
    assert receipts[0].stream == report_stream("receipt", "opening-stock/85123A")
    assert receipts[0].occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert receipts[0].clock == "online-retail"
    assert receipts[0].correlation_id == "opening-stock/85123A"


def test_a_later_file_brings_opening_stock_for_new_skus_only(store: EventStore, home: Path, tmp_path: Path) -> None:
    run(store, home, write(tmp_path / "1.csv", GOOD), opening_stock=70)
    run(store, home, write(tmp_path / "2.csv", OTHER, GOOD.replace("536365", "536367")), opening_stock=80)
    receipts = [event.lines for event in events_of(store) if isinstance(event, StockReceiptReported)]
    assert receipts == [{"main": {"85123A": 70}}, {"main": {"71053": 80}}]


def test_opening_stock_may_be_brought_in_later(store: EventStore, home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "day.csv", GOOD)
    run(store, home, file)
    assert run(store, home, file, opening_stock=70).already_imported == 1
    assert [type(event) for event in events_of(store)] == [OrderPlaced, StockReceiptReported]


# --- files that are not imported ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00garbage", "not a header"),
        (b"PK\x03\x04\0\0\0", "not a header"),
        (b"a,b,c\n1,2,3\n", "lacks InvoiceNo, StockCode"),
        (HEADER.replace(",Country", "").encode() + b"\n", "lacks Country"),
        (b"x" * 1_000_000, "not a header"),
    ],
)
def test_one_file_of_another_format_refuses_all_and_nothing_is_written(
    store: EventStore, home: Path, tmp_path: Path, data: bytes, sentence: str
) -> None:
    bad = tmp_path / "zzz.csv"
    bad.write_bytes(data)
    with pytest.raises(ImportRefused, match=sentence) as refused:
        run(store, home, DAY, bad)
    assert str(bad) in str(refused.value)
    assert store.last_position() == 0
    assert list(home.iterdir()) == []


def test_paths_that_lead_nowhere_are_refused(store: EventStore, home: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no such file"):
        run(store, home, tmp_path / "missing.csv")
    with pytest.raises(ImportRefused, match=r"no \.csv files"):
        run(store, home, home)
    with pytest.raises(ImportRefused, match="no files were named"):
        run(store, home)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ImportRefused, match="not a regular file"):
        run(store, home, tmp_path / "pipe.csv")


def test_a_folder_is_all_its_csv_files_in_order_of_name_each_once(
    store: EventStore, home: Path, tmp_path: Path
) -> None:
    days = tmp_path / "days"
    write(days / "2.csv", OTHER)
    write(days / "1.CSV", GOOD)
    write(days / ".hidden.csv", CHANGED)
    (days / "NOTE.md").write_text("not a table")
    summary = run(store, home, days / "2.csv", days, days / ".." / "days" / "1.CSV")
    assert (summary.files, summary.orders) == (2, 2)
    numbers = [event.number for event in events_of(store) if isinstance(event, OrderPlaced)]
    assert numbers == ["536365", "536366"]


@pytest.mark.parametrize("block", ["rejects", "rejects/1.csv.rejects.csv.part"])
def test_a_home_that_cannot_be_written_to_is_said_in_words(
    store: EventStore, home: Path, tmp_path: Path, block: str
) -> None:
    """A file where a folder must be, a folder where a file must be: as good as a full disk, and works for root."""
    in_the_way = home / block
    if in_the_way.parent == home:
        in_the_way.write_text("in the way")
    else:
        in_the_way.mkdir(parents=True)
    with pytest.raises(ImportRefused, match="rejects"):
        run(store, home, write(tmp_path / "1.csv", GOOD, CANCELLED))


def test_a_full_disk_interrupts_and_the_same_command_goes_on(store: EventStore, home: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "1.csv", GOOD, CANCELLED)
    in_the_way = home / "rejects" / "1.csv.rejects.csv"
    (in_the_way / "x").mkdir(parents=True)
    with pytest.raises(ImportInterrupted, match="the same command again"):
        run(store, home, file)
    assert list((home / "rejects").iterdir()) == [in_the_way]
    shutil.rmtree(in_the_way)
    assert run(store, home, file).already_imported == 1
    assert list(rejects(home)) == ["1.csv.rejects.csv"]


def test_a_fault_of_the_pump_is_not_mistaken_for_a_fault_of_the_disk(store: EventStore, home: Path) -> None:
    def pump() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        run(store, home, DAY, pump=pump)


def test_a_store_that_is_away_is_not_the_importers_to_mend(home: Path) -> None:
    class AwayStore(EventStore):
        def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
            raise StoreUnavailable("no space left on the disk")

    store = AwayStore(MemoryRecorder())
    with pytest.raises(StoreUnavailable):
        run(store, home, DAY)
    assert rejects(home) == {}


# --- the rejects file ---------------------------------------------------------------------------------------------


def test_rejects_are_listed_by_line_with_reason_sentence_and_original(
    store: EventStore, home: Path, tmp_path: Path
) -> None:
    postage = "536370,POST,POSTAGE,1,2010-12-01 08:45:00,18.0,1.0,France"
    quoted = '536371,22041,"A ""B"",\nC",6,2010-12-01 08:45:00,cheap,1.0,France'
    run(store, home, write(tmp_path / "day.csv", postage, GOOD, CANCELLED, quoted, "536371,£"))
    with (home / "rejects" / "day.csv.rejects.csv").open(encoding="utf-8", newline="") as file:
        head, *listed = csv.reader(file)
    assert head == ["line", "reason", "sentence", "original"]
    assert [(line, reason, original) for line, reason, _, original in listed] == [
        ("2", "no_goods", postage),
        ("4", "cancellation_not_yet_supported", CANCELLED),
        ("5", "bad_price", quoted),
        ("7", "wrong_field_count", "536371,£"),
    ]
    assert all(sentence.endswith(".") for _, _, sentence, _ in listed)


def test_bytes_that_are_no_text_are_quoted_readably(store: EventStore, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_bytes(HEADER.encode() + b"\n536365,gift \xa320\n\0\0\n")
    summary = run(store, home, file)
    assert summary.rejected == {"not_text": 1, "not_utf8": 1}
    assert "536365,gift \\xa320" in rejects(home)["day.csv.rejects.csv"].decode("utf-8")


def test_a_file_without_rejects_leaves_none_and_takes_old_ones_away(
    store: EventStore, home: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "day.csv", GOOD, CANCELLED)
    run(store, home, file)
    assert list(rejects(home)) == ["day.csv.rejects.csv"]
    run(store, home, write(file, GOOD))
    assert rejects(home) == {}


def test_files_of_the_same_name_have_rejects_of_their_own(store: EventStore, home: Path, tmp_path: Path) -> None:
    run(store, home, write(tmp_path / "a" / "day.csv", CANCELLED), write(tmp_path / "b" / "day.csv", "nonsense"))
    listed = rejects(home)
    assert sorted(listed) == ["day.csv.2.rejects.csv", "day.csv.rejects.csv"]
    assert b"nonsense" in listed["day.csv.2.rejects.csv"]


# --- size ---------------------------------------------------------------------------------------------------------


def test_a_line_of_100_mb_is_rejected_without_being_held(store: EventStore, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as out:
        out.write(f"{HEADER}\n{GOOD}\n536366,".encode())
        for _ in range(100):
            out.write(b"x" * 1_000_000)
        out.write(f"\n{OTHER}\n".encode())
    tracemalloc.start()
    try:
        summary = run(store, home, file)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        file.unlink()
    assert (summary.orders, summary.rejected) == (2, {"line_too_long": 1})
    assert peak_bytes < 5_000_000
    assert len(rejects(home)["large.csv.rejects.csv"]) < 2_000


def test_memory_does_not_grow_with_the_file(store: EventStore, home: Path, tmp_path: Path) -> None:
    """Refused lines are the cheapest way to make a file large; one order at its top stays open meanwhile."""

    def peak_bytes(lines: int) -> int:
        file = write(tmp_path / "day.csv", GOOD, *[f"C{n},{'x' * 400}" + "," * 6 for n in range(lines)])
        tracemalloc.start()
        try:
            assert run(store, home, file).lines_read == lines + 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(100)  # warms the caches up
    small, large = peak_bytes(10_000), peak_bytes(25_000)
    assert large < small * 1.2


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (58_960_790_000, "58960.79"), (1_000, "0.001"), (1, "0.000001"), (-5_300_000, "-5.30")],
)
def test_gross_is_exact_decimal_text(micros: int, text: str) -> None:
    assert exact_decimal(micros) == text
