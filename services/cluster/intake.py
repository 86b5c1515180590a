"""The role that takes orders from the intake topic: a thread beside the engine, which has its work from the log."""

from __future__ import annotations

from events.kafka import Inlet
from events.store import utc_now
from services.cluster.roles import Heard, Place
from services.gateway.arrivals import Arrivals
from services.gateway.topic_intake import TopicIntake
from services.routing import INTAKE_TOPIC, REJECTED_TOPIC

GROUP = "waybill.intake"


def begin(place: Place) -> Inlet:
    """Runs until the place is left."""
    intake = TopicIntake(
        Arrivals(place.store), now=utc_now, max_bytes=place.settings.max_body_bytes, ring=place.bell.set
    )
    inlet = Inlet(
        place.kafka, group=GROUP, topic=INTAKE_TOPIC, rejected=REJECTED_TOPIC, take=intake.take, hooks=Heard("intake")
    )
    inlet.start()
    place.stack.callback(inlet.close)
    return inlet
