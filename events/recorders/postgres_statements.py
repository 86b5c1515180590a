"""The SQL of the log in PostgreSQL. Names in braces are those of tables and the channel; `%b` is a binary parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg.types.numeric import Int8

from events.recorders.port import Batch, Row, Tail

COLUMNS: LiteralString = "notification_id, originator_id, originator_version, topic, state"

LOCK: LiteralString = "LOCK TABLE {events} IN EXCLUSIVE MODE"
NOTIFY: LiteralString = "NOTIFY {channel}"

INSERT: LiteralString = """
INSERT INTO {events} (originator_id, originator_version, topic, state)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[])
RETURNING notification_id
"""

# All that an append demands, and all that it writes, in one statement: with the lock and the commit it is one round
# trip, and a process that is stopped never holds the lock. Its snapshot is taken when the lock is held already.
# A refusal comes back as a row of its own (which demand, stream, what was found), and nothing is written.
APPEND: LiteralString = """
WITH
gone AS MATERIALIZED (
    SELECT FROM (SELECT %b::bigint AS position) AS tail WHERE tail.position > 0 AND NOT EXISTS (
        SELECT FROM {events} WHERE notification_id = tail.position
        AND originator_id = %b::text AND originator_version = %b::bigint AND sha256(state) = %b::bytea)
),
next AS MATERIALIZED (SELECT %b::text AS consumer, %b::bigint AS position, %b::bigint AS after),
refused AS MATERIALIZED (
    SELECT held.position FROM next, LATERAL (SELECT coalesce((
        SELECT notification_id FROM {tracking} WHERE application_name = next.consumer), 0)) AS held(position)
    WHERE held.position >= next.position OR held.position <> next.after
),
conflict AS MATERIALIZED (
    SELECT expected.stream, coalesce(last.version, 0) AS actual
    FROM unnest(%b::text[], %b::bigint[]) AS expected(stream, version)
    LEFT JOIN LATERAL (
        SELECT originator_version FROM {events} WHERE originator_id = expected.stream
        ORDER BY originator_version DESC LIMIT 1) AS last(version) ON true
    WHERE coalesce(last.version, 0) <> expected.version LIMIT 1
),
allowed AS MATERIALIZED (
    SELECT WHERE NOT EXISTS (SELECT FROM gone)
    AND NOT EXISTS (SELECT FROM refused) AND NOT EXISTS (SELECT FROM conflict)
),
noted AS (
    INSERT INTO {tracking} (application_name, notification_id)
    SELECT consumer, position FROM next WHERE consumer IS NOT NULL AND EXISTS (SELECT FROM allowed)
    ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id
),
inserted AS (
    INSERT INTO {events} (originator_id, originator_version, topic, state)
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) WHERE EXISTS (SELECT FROM allowed)
    RETURNING notification_id
)
SELECT 0, 'gone', NULL FROM gone
UNION ALL SELECT position, 'tracked', NULL FROM refused
UNION ALL SELECT actual, 'conflict', stream FROM conflict
UNION ALL SELECT notification_id, NULL, NULL FROM inserted
"""

FIND: LiteralString = """
SELECT notification_id
FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) WITH ORDINALITY AS row(stream, version, topic, state, n)
JOIN {events} AS event ON originator_id = stream AND originator_version = version
WHERE event.topic = row.topic AND event.state = row.state
ORDER BY n
"""

# A sub-select per stream ends at its last version; GROUP BY would visit every one of them.
VERSIONS: LiteralString = """
SELECT stream, last.version
FROM unnest(%b::text[]) AS stream, LATERAL (
    SELECT originator_version FROM {events} WHERE originator_id = stream
    ORDER BY originator_version DESC LIMIT 1) AS last(version)
"""

TRACKED: LiteralString = "SELECT application_name, notification_id FROM {tracking} WHERE application_name <> %b"

LAST_POSITION: LiteralString = "SELECT coalesce(max(notification_id), 0) FROM {events}"

TAIL: LiteralString = """
SELECT notification_id, originator_id, originator_version, sha256(state), %b::bigint = 0 OR EXISTS (
    SELECT FROM {events} WHERE notification_id = %b::bigint
    AND originator_id = %b::text AND originator_version = %b::bigint AND sha256(state) = %b::bytea)
FROM {events} ORDER BY notification_id DESC LIMIT 1
"""

# By its number and its start: after a restart of the server the number may be another one's.
END_BACKEND: LiteralString = """
SELECT pg_terminate_backend(pid, %b::bigint) FROM pg_stat_activity
WHERE pid = %b::int AND backend_start = %s::timestamptz
"""


def of_append(batch: Batch) -> list[Any]:
    """The parameters of APPEND."""
    consumer, position, after = batch.tracked or (None, None, None)
    expected = [list(batch.expected), list(batch.expected.values())]
    return [*of_tail(batch.tail), consumer, _int8(position), _int8(after), *expected, *of_rows(batch.rows)]


def of_rows(rows: Sequence[Row]) -> list[list[Any]]:
    """The columns of rows, as INSERT, APPEND and FIND take them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]


def of_tail(tail: Tail) -> list[Any]:
    return [Int8(tail.position), tail.stream, Int8(tail.version), tail.digest]


def _int8(number: int | None) -> Int8 | None:
    """Of one size always: the type is part of a prepared statement's name."""
    return None if number is None else Int8(number)
