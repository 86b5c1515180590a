"""What stands on a parcel's papers, read from the log: the fulfillment's own events, and the order's for the rest.

Drawing is papers.py's job. Nothing is stored: the same events give the same paper.
"""

from __future__ import annotations

from datetime import date

from events.base import Address, Contact, Quantities, Recorded
from events.order import OrderCorrected, OrderPlaced, order_stream
from events.shipping import FulfillmentCancelled, FulfillmentOpened, LabelPurchased, fulfillment_stream
from events.store import EventStore
from services.shipping.address_block import address_block
from services.shipping.papers import LabelContent, PackingSlipContent, SlipLine


class NoPaper(LookupError):
    """There is no such paper (yet); the message says why."""


class Parcel:
    """One fulfillment order that has its label. Holds personal data: never log it."""

    def __init__(self, opened: FulfillmentOpened, label: LabelPurchased, labelled_on: date, order: _Order) -> None:
        self._opened = opened
        self._label = label
        self._labelled_on = labelled_on
        self._order = order

    def label(self) -> LabelContent:
        return LabelContent(
            carrier=self._label.carrier,
            service="standard",
            tracking_number=self._label.tracking_number,
            order_number=self._order.placed.number,
            sender=self._sender,
            recipient=self._order.recipient(),
            country=self._opened.country,
            ship_on=self._labelled_on,
        )

    def packing_slip(self) -> PackingSlipContent:
        return PackingSlipContent(
            order_number=self._order.placed.number,
            sender=self._sender,
            recipient=self._order.recipient(),
            lines=self._order.described(self._opened.lines),
            tracking_number=self._label.tracking_number,
            ordered_on=self._order.placed_on,
        )

    @property
    def _sender(self) -> tuple[str, ...]:
        """The location is all that the log knows of it."""
        return (self._opened.location,)


class _Order:
    """What the papers need of the order: as it was placed, with what was corrected since."""

    def __init__(self, history: list[Recorded]) -> None:
        placed = history[0].event
        assert isinstance(placed, OrderPlaced)
        self.placed = placed
        self.placed_on = history[0].occurred_at.date()
        self._contact: Contact | None = placed.contact
        self._ship_to: Address | None = placed.ship_to
        for recorded in history:
            if isinstance(recorded.event, OrderCorrected):
                self._contact = recorded.event.contact or self._contact
                self._ship_to = recorded.event.ship_to or self._ship_to

    def recipient(self) -> tuple[str, ...]:
        """Empty where the channel keeps the address on file. Always with the country: the parcel may cross borders."""
        if self._ship_to is None:
            return ()
        return address_block(self._contact.name if self._contact else "", self._ship_to, from_country="")

    def described(self, lines: Quantities) -> tuple[SlipLine, ...]:
        descriptions = {line.sku: line.description for line in self.placed.lines}
        return tuple(SlipLine(sku, descriptions.get(sku, ""), quantity) for sku, quantity in sorted(lines.items()))


def find_parcel(store: EventStore, fulfillment_id: str) -> Parcel | None:
    """None: there is no such fulfillment. Raises NoPaper if it has no label."""
    history = store.read_stream(fulfillment_stream(fulfillment_id))
    opened = next((one.event for one in history if isinstance(one.event, FulfillmentOpened)), None)
    if opened is None:
        return None
    if any(isinstance(one.event, FulfillmentCancelled) for one in history):
        raise NoPaper("The fulfillment was cancelled: nothing is sent.")
    for one in history:
        if isinstance(one.event, LabelPurchased):
            order = _Order(store.read_stream(order_stream(opened.order_id)))
            return Parcel(opened, one.event, one.occurred_at.date(), order)
    raise NoPaper("The parcel has no label yet: pick and pack it, and wait for the carrier.")
