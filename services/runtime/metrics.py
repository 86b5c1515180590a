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
leads = Gauge("waybill_leads", "1 while this process does what only one may do, 0 while it stands by.", ["role"])
lag = Gauge("waybill_consumer_lag_positions", "Positions between a consumer and the head of the log.", ["consumer"])
parked_now = Gauge("waybill_parked_events", "Events that are parked now.", ["consumer"])
