"""The role that counts: Faust in a thread beside the engine. One process leads, others stand by."""

from __future__ import annotations

from events.kafka import ensure_topics
from events.store import utc_now
from services.cluster.roles import Place
from services.insights.consumer import InsightsConsumer, Tables
from services.insights.fold import Rows
from services.insights.insights import Insights
from services.outlook import available_in, board_of, holding, limits


def begin(place: Place) -> InsightsConsumer:
    """Makes its changelog's topic, if it is missing. Raises KafkaTrouble and BoardUnavailable in words."""
    from services.insights.app import CHANGELOG_CONFIG, SOURCES, WAYBILLS, FaustTables, source_of  # takes a second

    settings = place.settings
    ensure_topics(
        place.kafka,
        [WAYBILLS.changelog],
        replication=settings.kafka_replication,
        patience_s=settings.patience_s,
        config=CHANGELOG_CONFIG,
    )
    lead, board = place.store.leadership("insights"), board_of(settings)
    place.stack.callback(lead.close)
    place.stack.callback(board.close)

    def tables() -> Tables:
        return FaustTables(place.kafka, ring=place.bell.set)

    def make(rows: Rows) -> Insights:
        return Insights(place.store, rows, limits(settings), sources=SOURCES, source_of=source_of)

    consumer = InsightsConsumer(
        lead,
        tables,
        make,
        board=board,
        available=available_in(place.views()),
        hold=holding(place.store, settings, place.bell.set),
        now=utc_now,
    )
    place.stack.callback(consumer.close)
    return consumer
