"""What the workers count, in Prometheus' terms. Labels are few and bounded: consumer names, never ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# Batches are bounded by the workers' batch size, and one event may decide up to about ten.
_BATCH_BUCKETS = (1, 5, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)

batch_events = Histogram("waybill_batch_events", "Events appended per commit.", ["consumer"], buckets=_BATCH_BUCKETS)
conflicts = Counter("waybill_version_conflicts_total", "Appends decided again after a conflict.", ["consumer"])
parked = Counter("waybill_parked_total", "Events parked because they could not be handled.", ["consumer"])
effect_calls = Counter("waybill_effect_calls_total", "Calls to providers and carriers.", ["consumer"])
effect_failures = Counter("waybill_effect_failures_total", "Calls that ended in an unexpected error.", ["consumer"])
step_failures = Counter(
    "waybill_step_failures_total", "Steps put off because the store or Redis was away.", ["consumer"]
)
lag_s = Gauge(
    "waybill_consumer_lag_seconds", "How long the oldest event that it has not seen is in the log.", ["consumer"]
)
slots = Gauge("waybill_assigned_slots", "Slots of a service's work that are this process's.", ["service"])
consumers_remade = Counter(
    "waybill_consumers_remade_total", "Kafka consumers thrown away because they were stuck or failed.", ["service"]
)
intake_messages = Counter(
    "waybill_intake_messages_total", "Messages of the intake topic, by what became of them.", ["verdict"]
)
leads = Gauge("waybill_leads", "1 while this process does what only one may do, 0 while it stands by.", ["role"])
lag = Gauge("waybill_consumer_lag_positions", "Positions between a consumer and the head of the log.", ["consumer"])
log_position = Gauge("waybill_log_position", "The last position in the log.")
# A batch of 2,000 events takes a local PostgreSQL 30 ms; a commit whose outcome is looked for, several seconds.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
append_s = Histogram("waybill_append_seconds", "How long an append took that succeeded.", buckets=_SECONDS)
relay_delay_s = Histogram(
    "waybill_relay_delay_seconds", "From an append to its events being Kafka's for good.", buckets=(*_SECONDS, 60, 300)
)
relay_published = Counter("waybill_relay_published_total", "Messages published, marks included.", ["topic"])
orders = Gauge("waybill_orders", "Orders by status, as the read model has them.", ["status"])
outcome_unknown = Gauge(
    "waybill_outcome_unknown", "Calls that ended without a known outcome, and still have none.", ["consumer"]
)
parked_now = Gauge("waybill_parked_events", "Events that are parked now.", ["consumer"])
