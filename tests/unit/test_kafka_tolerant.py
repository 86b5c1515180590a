"""A message with a header whose name is no text is read, and so is everything around it. On a broker: tests/cluster."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from events.kafka.tolerant import TolerantRecords

Record = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]

HEADERS: list[list[tuple[str, bytes | None]]] = [[("a", b"1")], [("@@", b"\xff"), ("@@", None)], []]
KEYS: list[bytes | None] = [b"key", None, b""]


def batch(compression: int = 0) -> bytes:
    """Three messages. A name in it can be replaced by another of its length."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 100_000)
    for offset, (key, headers) in enumerate(zip(KEYS, HEADERS, strict=True)):
        builder.append(offset, timestamp=1_000 + offset, key=key, value=b"value-%d" % offset, headers=headers)
    return bytes(builder.build())


def read(raw: bytes) -> list[Record]:
    records, found = TolerantRecords(raw), list[Record]()
    while records.has_next():
        one = records.next_batch()
        assert not one.is_control_batch
        found += [(record.offset, record.key, record.value, list(record.headers)) for record in one]
    return found


AS_WRITTEN: list[Record] = [(n, KEYS[n], b"value-%d" % n, HEADERS[n]) for n in range(3)]


def test_what_aiokafka_reads_is_read_as_it_reads_it() -> None:
    assert read(batch()) == AS_WRITTEN
    assert read(batch(1)) == AS_WRITTEN  # gzip
    assert read(batch() + batch()) == AS_WRITTEN * 2
    assert read(b"") == []
    assert TolerantRecords(batch()).size_in_bytes() == MemoryRecords(batch()).size_in_bytes()


def test_names_that_are_no_text_are_spelled_out_and_nothing_around_them_is_lost() -> None:
    raw = batch().replace(b"@@", b"\xff\xfe")
    odd: list[tuple[str, bytes | None]] = [("\\xff\\xfe", b"\xff"), ("\\xff\\xfe", None)]
    assert read(raw + batch()) == [AS_WRITTEN[0], (1, None, b"value-1", odd), AS_WRITTEN[2], *AS_WRITTEN]
