"""What roles measure of their own work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from events.codec import Unreadable
from events.relay import Message, Publisher
from events.store import Now
from projections.order_status import OrderReads
from projections.views import Views, ViewsError
from services.cluster.leaders import Led
from services.runtime import metrics


class MeasuredPublisher:
    """See Publisher. Counts what was published, and how long after its append."""

    def __init__(self, publisher: Publisher, now: Now) -> None:
        self._publisher = publisher
        self._now = now

    def publish(self, messages: Sequence[Message]) -> None:
        """See Publisher."""
        self._publisher.publish(messages)
        for topic, count in Counter(message.topic for message in messages).items():
            metrics.relay_published.labels(topic).inc(count)
        # Once for each append: its events have one time, and telling it of each would cost more than encoding it.
        now = self._now()
        for at in {one.recorded.recorded_at for one in messages if one.recorded and _is_dated(one)}:
            metrics.relay_delay_s.observe(max(0.0, (now - at).total_seconds()))


def _is_dated(message: Message) -> bool:
    """What cannot be decoded has no time."""
    return message.recorded is not None and not isinstance(message.recorded.event, Unreadable)


class OrderGauges:
    """How many orders are in which status: told by who keeps the projections, not by who stands by."""

    def __init__(self, led: Led, views: Views) -> None:
        self._led = led
        self._reads = OrderReads(views)

    def set(self) -> None:
        """As of now; what cannot be asked stays as it was."""
        if not self._led.leads:
            metrics.orders.clear()
            return
        try:
            found = self._reads.counts()["by_status"]
        except ViewsError:
            return  # /readyz says so
        metrics.orders.clear()
        for status, count in found.items():
            metrics.orders.labels(status).set(count)
