"""The "online-retail" format: what each kind of line becomes, and why a line is refused."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import MAX_LINES, MAX_QUANTITY
from events.gateway import StockAdjustmentReported, report_stream
from events.order import Charge, OrderKey, OrderLine, OrderPlaced, order_stream
from services.gateway.csv_lines import read_header, read_records
from services.gateway.import_faults import ImportRefused
from services.gateway.intake import Counts, Intake
from services.gateway.invoices import SPAN_LINES, InvoiceReader
from services.gateway.online_retail import COLUMNS
from services.gateway.rejects import SENTENCES, Reason

HEADER = ",".join(COLUMNS)
DAY = Path(__file__).parents[1] / "data" / "online-retail-2010-12-01.csv"
ALL_DAYS = Path(__file__).parents[3] / "shared" / "data" / "online-retail"

Found = tuple[list[Intake], list[tuple[int, str]]]


def row(
    invoice: str = "536365",
    code: str = "85123A",
    description: str = "WHITE HEART",
    quantity: str = "6",
    when: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
    country: str = "United Kingdom",
) -> str:
    return ",".join([invoice, code, description, quantity, when, price, customer, country])


def read_bytes(data: bytes) -> Found:
    """Intakes, and (line number, reason) of what was refused."""
    records = read_records(BytesIO(data))
    reader = InvoiceReader(read_header(records), "main")
    for record in records:
        reader.feed(record)
    reader.finish()
    return reader.intakes, sorted((refusal.line, refusal.reason.value) for refusal in reader.refusals)


def read(*rows: str, header: str = HEADER) -> Found:
    return read_bytes("\n".join([header, *rows, ""]).encode())


def order(*rows: str) -> OrderPlaced:
    """The one order that these rows are."""
    [intake], refused = read(*rows)
    assert refused == []
    assert isinstance(intake.event, OrderPlaced)
    return intake.event


def adjustment(*rows: str) -> StockAdjustmentReported:
    [intake], refused = read(*rows)
    assert refused == []
    assert isinstance(intake.event, StockAdjustmentReported)
    return intake.event


# --- orders -------------------------------------------------------------------------------------------------------


def test_an_invoice_becomes_one_order() -> None:
    [intake], refused = read(
        row(),
        row(code="71053", description="METAL LANTERN", price="3.39"),
        row(code="POST", quantity="1", price="18.0"),
    )
    order_id = OrderKey("online-retail", "536365").order_id
    assert refused == []
    assert intake.event == OrderPlaced(
        order_id=order_id,
        channel="online-retail",
        number="536365",
        currency="GBP",
        country="GB",
        lines=[
            OrderLine(sku="85123A", quantity=6, unit_price="2.55", description="WHITE HEART"),
            OrderLine(sku="71053", quantity=6, unit_price="3.39", description="METAL LANTERN"),
        ],
        charges=[Charge(kind="postage", amount_minor=1800, description="WHITE HEART")],
        total_minor=1530 + 2034 + 1800,
        payment_token="tok_ok",
        customer="17850",
        contact=None,
        ship_to=None,
    )
    assert intake.stream == order_stream(order_id)
    assert intake.counts == Counts(goods_lines=2, charge_lines=1, units=12, gross_micros=53_640_000)


def test_the_envelope_says_where_the_order_came_from() -> None:
    [intake], _ = read(row())
    envelope = intake.cause.envelope(intake.event)
    assert envelope.occurred_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert (envelope.clock, envelope.actor) == ("online-retail", "import")
    assert envelope.correlation_id == OrderKey("online-retail", "536365").order_id
    assert envelope.causation_id.startswith("online-retail:")


def test_the_same_lines_in_another_file_are_the_same_event() -> None:
    [alone], _ = read(row(), row(code="71053"))
    [_, among_others], _ = read(row(invoice="536364"), row(), row(code="71053"), row(invoice="C536366", quantity="-1"))
    assert among_others._replace(lines=[]) == alone._replace(lines=[])


def test_repeated_lines_add_up_and_are_counted_as_lines() -> None:
    [intake], _ = read(
        row(), row(code="85123a", price="2.550"), row(code=" 85123A ", quantity="1", price="2.95"), row(quantity="2")
    )
    assert isinstance(intake.event, OrderPlaced)
    assert [(line.sku, line.quantity, line.unit_price) for line in intake.event.lines] == [
        ("85123A", 14, "2.55"),
        ("85123A", 1, "2.95"),
    ]
    assert (intake.counts.goods_lines, intake.counts.units) == (4, 15)


def test_what_adds_up_to_more_than_a_line_can_hold_stays_two_lines() -> None:
    lines = order(row(quantity=str(MAX_QUANTITY)), row(quantity="1"), row(quantity="2")).lines
    assert [line.quantity for line in lines] == [MAX_QUANTITY, 3]


def test_each_line_is_rounded_once() -> None:
    placed = order(row(quantity="3", price="0.005"), row(code="71053", quantity="1", price="0.005"))
    assert placed.total_minor == 2 + 1


@pytest.mark.parametrize(
    ("written", "kept"),
    [("2.55", "2.55"), ("18.0", "18.00"), ("0.001", "0.001"), ("007", "7.00"), ("0.0", "0.00"), ("1.2500", "1.25")],
)
def test_prices_are_kept_exactly_in_one_spelling(written: str, kept: str) -> None:
    assert order(row(price=written)).lines[0].unit_price == kept


def test_goods_without_a_price_come_with_an_order() -> None:
    placed = order(row(), row(code="22841", quantity="1", price="0.0"))
    assert [line.unit_price for line in placed.lines] == ["2.55", "0.00"]


def test_an_order_of_a_guest() -> None:
    assert order(row(customer="")).customer is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("United Kingdom", "GB"),
        ("EIRE", "IE"),
        ("RSA", "ZA"),
        ("USA", "US"),
        ("Channel Islands", "JE"),
        ("European Community", "ZZ"),
        ("Unspecified", "ZZ"),
        (" germany ", "DE"),
    ],
)
def test_countries_become_codes(name: str, code: str) -> None:
    assert order(row(country=name)).country == code


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2010-12-01 08:26:00", "2010-12-01T08:26:00+00:00"),
        ("2011-06-30 08:26:00", "2011-06-30T07:26:00+00:00"),
        ("2011-03-27 00:59:59", "2011-03-27T00:59:59+00:00"),
        ("2011-03-27 01:30:00", "2011-03-27T01:30:00+00:00"),  # skipped by the clocks: read as winter time
        ("2011-03-27 02:00:00", "2011-03-27T01:00:00+00:00"),
        ("2011-10-30 01:30:00", "2011-10-30T00:30:00+00:00"),  # happened twice: the first time counts
    ],
)
def test_times_are_those_of_london(local: str, utc: str) -> None:
    [intake], _ = read(row(when=local))
    assert intake.cause.occurred_at.isoformat() == utc


def test_an_order_happened_at_its_first_lines_time() -> None:
    [intake], _ = read(row(when="2010-12-01 16:58:00"), row(code="71053", when="2010-12-01 16:57:00"))
    assert intake.cause.occurred_at == datetime(2010, 12, 1, 16, 58, tzinfo=UTC)


def test_descriptions_are_made_one_line_of_printable_text() -> None:
    placed = order(row(description='"RED  HEART,\n\tLARGE \x07"'), row(code="71053", description="x" * 300))
    assert [line.description for line in placed.lines] == ["RED HEART, LARGE ?", "x" * 200]


def test_columns_may_stand_in_another_order() -> None:
    names = "Country,CustomerID,Comment,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo"
    [intake], refused = read("EIRE,1.0,none,2.5,2010-12-01 08:26:00,6,HEART,71053,536365", header=names)
    assert refused == []
    assert isinstance(intake.event, OrderPlaced)
    assert (intake.event.country, intake.event.customer, intake.event.total_minor) == ("IE", "1", 1500)


# --- charges ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("POST", "postage"),
        ("DOT", "postage"),
        ("C2", "carriage"),
        ("M", "manual"),
        ("m", "manual"),
        ("D", "discount"),
        ("S", "samples"),
        ("BANK CHARGES", "fee"),
        ("AMAZONFEE", "fee"),
        ("CRUK", "donation"),
        ("B", "bad_debt"),
        ("PADS", "non_stock"),
        ("gift_0001_20", "gift_voucher"),
        ("DCGS0076", "non_stock"),
        ("DCGSSBOY", "non_stock"),
    ],
)
def test_codes_that_are_no_goods_become_charges(code: str, kind: str) -> None:
    placed = order(row(), row(code=code, quantity="1", price="10.0"))
    assert [(charge.kind, charge.amount_minor) for charge in placed.charges] == [(kind, 1000)]
    assert len(placed.lines) == 1


def test_a_charge_keeps_its_quantity_and_an_unusual_code_in_words() -> None:
    placed = order(
        row(),
        row(code="POST", description="POSTAGE", quantity="3", price="18.0"),
        row(code="gift_0001_20", description="Voucher", quantity="1", price="16.67"),
    )
    assert [charge.description for charge in placed.charges] == ["POSTAGE (3 x 18.00)", "GIFT_0001_20 Voucher"]
    assert [charge.amount_minor for charge in placed.charges] == [5400, 1667]


def test_a_discount_is_a_negative_charge() -> None:
    placed = order(row(), row(code="D", description="Discount", quantity="-1", price="5.30"))
    assert placed.charges == [Charge(kind="discount", amount_minor=-530, description="Discount (-1 x 5.30)")]
    assert placed.total_minor == 1000


def test_charges_without_goods_are_no_order() -> None:
    assert read(row(code="POST"), row(code="M")) == ([], [(2, "no_goods"), (3, "no_goods")])


def test_discounts_beyond_the_goods_are_no_order() -> None:
    assert read(row(), row(code="D", quantity="-1", price="15.31")) == (
        [],
        [(2, "negative_total"), (3, "negative_total")],
    )


def test_a_charge_for_nobody_at_no_price_is_nothing() -> None:
    assert read(row(code="POST", quantity="1000", price="0.0", customer="")) == ([], [(2, "no_goods")])


@pytest.mark.parametrize(
    "rows",
    [
        [row(price="0.0")],
        [row(price="0.0", customer=""), row(code="71053", price="0.0", customer="")],
        [row(price="0.0", customer="", description="")],  # one line for nobody: 365 of them in the data
    ],
)
def test_free_goods_are_an_order(rows: list[str]) -> None:
    placed = order(*rows)
    assert placed.total_minor == 0
    assert sum(line.quantity for line in placed.lines) == 6 * len(rows)


def test_a_tenth_of_a_penny_adds_up() -> None:
    assert order(row(price="0.001", customer="")).total_minor == 1


# --- stock --------------------------------------------------------------------------------------------------------


def test_a_write_off_is_a_stock_adjustment() -> None:
    [intake], refused = read(
        row(invoice="536589", description=" thrown away ", quantity="-10", price="0.0", customer="")
    )
    assert refused == []
    assert intake.event == StockAdjustmentReported(
        reference="online-retail/536589", reason="thrown away", lines={"main": {"85123A": -10}}
    )
    assert intake.stream == report_stream("adjustment", "online-retail/536589")
    assert intake.cause.envelope(intake.event).clock == "online-retail"
    assert intake.counts == Counts(adjustment_lines=1)


def test_a_write_off_without_a_word() -> None:
    assert adjustment(row(description="", quantity="-1", price="0", customer="")).reason == "no reason given"


def test_the_write_offs_of_one_invoice_are_one_report() -> None:
    report = adjustment(
        row(quantity="-1", price="0", description="wet"),
        row(code="71053", quantity="-2", price="0", description="damaged"),
        row(quantity="-3", price="0", description="wet"),
    )
    assert report.lines == {"main": {"85123A": -4, "71053": -2}}
    assert report.reason == "wet; damaged"


def test_more_written_off_than_can_be_said_is_refused() -> None:
    absurd = row(quantity=str(-MAX_QUANTITY), price="0")
    assert read(absurd, absurd) == ([], [(2, "bad_quantity"), (3, "bad_quantity")])


def test_an_invoice_with_write_offs_among_its_goods_is_both() -> None:
    intakes, refused = read(row(), row(code="71053", quantity="-1", price="0"))
    assert [type(intake.event) for intake in intakes] == [OrderPlaced, StockAdjustmentReported]
    assert [intake.counts.goods_lines + intake.counts.adjustment_lines for intake in intakes] == [1, 1]
    assert refused == []


# --- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(invoice="C536379", quantity="-1"), "cancellation_not_yet_supported"),
        (row(invoice="C536379", quantity="nonsense"), "cancellation_not_yet_supported"),
        (row(invoice="A563185", code="B", price="11062.06"), "bad_debt"),
        (row(invoice=""), "bad_invoice_number"),
        (row(invoice="X1"), "bad_invoice_number"),
        (row(invoice="53-6365"), "bad_invoice_number"),
        (row(invoice="1" * 13), "bad_invoice_number"),
        (row(invoice="٥٣٦٣٦٥"), "bad_invoice_number"),
        (row(code=""), "bad_stock_code"),
        (row(code="A" * 41), "bad_stock_code"),
        (row(code="A" * 9_000), "bad_stock_code"),
        (row(code="85123Ä"), "bad_stock_code"),
        (row(code="../../etc"), "bad_stock_code"),
        (row(quantity=""), "bad_quantity"),
        (row(quantity="0"), "bad_quantity"),
        (row(quantity="1.5"), "bad_quantity"),
        (row(quantity="1e3"), "bad_quantity"),
        (row(quantity="+6"), "bad_quantity"),
        (row(quantity=str(MAX_QUANTITY + 1)), "bad_quantity"),
        (row(quantity="9" * 5_000), "bad_quantity"),
        (row(quantity="-6"), "negative_quantity"),
        (row(when=""), "bad_date"),
        (row(when="2010-12-01"), "bad_date"),
        (row(when="12/1/2010 8:26"), "bad_date"),
        (row(when="2011-02-30 08:26:00"), "bad_date"),
        (row(when="2010-12-01 24:26:00"), "bad_date"),
        (row(when="0001-01-01 00:00:00"), "bad_date"),
        (row(when="9999-12-31 23:59:59"), "bad_date"),
        (row(price=""), "bad_price"),
        (row(price="NaN"), "bad_price"),
        (row(price="Infinity"), "bad_price"),
        (row(price="1e5"), "bad_price"),
        (row(price="-2.55"), "bad_price"),
        (row(price="1.0000001"), "bad_price"),
        (row(price="9" * 13), "bad_price"),
        (row(price=".5"), "bad_price"),
        (row(price="£2.55"), "bad_price"),
        (row(quantity="10000000", price="999999999999"), "amount_too_large"),
        (row(customer="17850.5"), "bad_customer"),
        (row(customer="Smith"), "bad_customer"),
        (row(country=""), "unknown_country"),
        (row(country="Atlantis"), "unknown_country"),
        ("536365", "wrong_field_count"),
        (row() + ",more", "wrong_field_count"),
        (",,,,,,,", "bad_invoice_number"),
        (row(description='"open'), "unclosed_quote"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_and_its_neighbours_are_not(bad: str, reason: str) -> None:
    [intake], refused = read(row(), bad, row(code="71053"))
    assert refused == [(3, reason)]
    assert intake.counts.goods_lines == 2


def test_a_line_of_another_customer_or_country_is_not_this_invoices() -> None:
    [intake], refused = read(row(), row(customer=""), row(country="France"), row(customer="17850", code="71053"))
    assert refused == [(3, "mixed_invoice"), (4, "mixed_invoice")]
    assert intake.counts.goods_lines == 2


def test_an_invoice_whose_lines_sum_to_too_much_is_refused() -> None:
    large = row(quantity="9000000", price="1000000")
    assert read(large, large) == ([], [(2, "amount_too_large"), (3, "amount_too_large")])


@pytest.mark.parametrize("count", [MAX_LINES + 1, SPAN_LINES + 500, 3 * SPAN_LINES + 100])
def test_an_invoice_with_too_many_lines_is_refused_to_its_last_line(count: int) -> None:
    intakes, refused = read(*[row() for _ in range(count)], row(invoice="536366"))
    assert [intake.cause.correlation_id for intake in intakes] == [OrderKey("online-retail", "536366").order_id]
    assert Counter(reason for _, reason in refused) == {"too_many_lines": count}


def test_as_many_lines_as_an_order_may_have_are_taken() -> None:
    assert len(order(*[row(code=str(10_000 + n)) for n in range(MAX_LINES)]).lines) == MAX_LINES


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_refuses_the_file(missing: str) -> None:
    with pytest.raises(ImportRefused, match=rf"lacks {missing};"):
        read(header=",".join(name for name in COLUMNS if name != missing))


def test_a_repeated_column_refuses_the_file() -> None:
    with pytest.raises(ImportRefused, match="twice"):
        read(header=HEADER + ",Country")


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


# --- lines that stand apart ---------------------------------------------------------------------------------------


def test_the_lines_of_an_invoice_may_stand_apart() -> None:
    intakes, refused = read(row(), row(invoice="C536364"), row(invoice="536366"), row(code="71053"))
    assert [intake.counts.goods_lines for intake in intakes] == [2, 1]
    assert refused == [(3, "cancellation_not_yet_supported")]


def test_an_invoice_closes_after_its_span_so_that_memory_is_bounded() -> None:
    filler = [row(invoice=str(600_000 + n // 10)) for n in range(SPAN_LINES)]
    intakes, _ = read(row(), *filler, row(code="71053"))
    first, *_, last = intakes
    assert first.stream == last.stream
    assert [intake.counts.goods_lines for intake in (first, last)] == [1, 1]


# --- whatever comes -----------------------------------------------------------------------------------------------

LIKE_A_FIELD = st.one_of(
    st.sampled_from(["536365", "536366", "C1", "A1", "85123A", "POST", "D", "6", "-6", "0", "0.0", "2.55", "", "EIRE"]),
    st.sampled_from(["2010-12-01 08:26:00", "2011-03-27 01:30:00", "17850.0", "France", '"', '"x', "9" * 12, "1e5"]),
    st.text(max_size=5),
)
LIKE_A_LINE = st.one_of(
    st.builds(row, *[st.sampled_from(["536365", "536366", "C5"]), st.sampled_from(["1", "2a", "POST", "D", "dcgs"])]),
    st.builds(row, quantity=LIKE_A_FIELD, price=LIKE_A_FIELD, customer=LIKE_A_FIELD, description=LIKE_A_FIELD),
    st.builds(row, quantity=st.integers(-(10**8), 10**8).map(str), price=st.sampled_from(["0", "2.5", "9" * 12])),
    st.lists(LIKE_A_FIELD, max_size=10).map(",".join),
)


def lines_accounted(found: Found) -> int:
    intakes, refused = found
    accepted = sum(sum(intake.counts[:3]) for intake in intakes)
    assert accepted == sum(len(intake.lines) for intake in intakes)
    return accepted + len(refused)


def lines_there(data: bytes) -> int:
    return sum(1 for _ in read_records(BytesIO(data))) - 1


@given(st.lists(LIKE_A_LINE, max_size=30))
def test_every_line_ends_as_part_of_an_event_or_with_a_reason(rows: list[str]) -> None:
    data = "\n".join([HEADER, *rows]).encode("utf-8", "surrogatepass")
    assert lines_accounted(read_bytes(data)) == lines_there(data)


@given(st.binary(max_size=400))
def test_any_bytes_under_a_header_are_accounted_for(garbage: bytes) -> None:
    data = HEADER.encode() + b"\n" + garbage
    assert lines_accounted(read_bytes(data)) == lines_there(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_as_a_file(garbage: bytes) -> None:
    with suppress(ImportRefused):
        assert lines_accounted(read_bytes(garbage)) == lines_there(garbage)


# --- real days ----------------------------------------------------------------------------------------------------


def tally(found: Found) -> tuple[Counts, int, int, dict[str, int]]:
    intakes, refused = found
    counts = Counts()
    for intake in intakes:
        counts = counts.plus(intake.counts)
    orders = sum(isinstance(intake.event, OrderPlaced) for intake in intakes)
    return counts, orders, len(intakes) - orders, dict(Counter(reason for _, reason in refused))


def test_the_first_of_december() -> None:
    counts, orders, adjustments, refused = tally(read_bytes(DAY.read_bytes()))
    assert (orders, adjustments) == (136, 1)
    assert counts == Counts(
        goods_lines=3073, charge_lines=8, adjustment_lines=1, units=26_997, gross_micros=58_960_790_000
    )
    assert refused == {"cancellation_not_yet_supported": 26}


@pytest.mark.slow
@pytest.mark.may_skip  # the whole data set is not part of the repository
@pytest.mark.skipif(not ALL_DAYS.is_dir(), reason="the seven months are not beside the checkout")
def test_seven_months_of_days() -> None:
    total, orders, lines = Counts(), 0, 0
    refused: Counter[str] = Counter()
    days = sorted(ALL_DAYS.glob("*.csv"))
    for day in days:
        data = day.read_bytes()
        found = read_bytes(data)
        assert lines_accounted(found) == lines_there(data), day.name
        counts, day_orders, _, day_refused = tally(found)
        total, orders, lines = total.plus(counts), orders + day_orders, lines + lines_there(data)
        refused.update(day_refused)
    assert (len(days), lines, orders) == (167, 245_903, 9_968)
    assert total == Counts(
        goods_lines=239_433, charge_lines=1_149, adjustment_lines=758, units=2_532_125, gross_micros=4_775_598_751_000
    )
    assert refused == {"cancellation_not_yet_supported": 4_494, "no_goods": 69}
