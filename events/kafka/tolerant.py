"""Messages whose headers have names that are no text.

Kafka takes any bytes for the name of a header. aiokafka expects UTF-8, and raises where it is not: again and again, at
the same offset. One such message, from anybody who may write to a topic, would be the last that its partition's reader
ever saw (tests/cluster/test_kafka_inlet.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint


def read_any_header() -> None:
    """Have aiokafka's consumers in this process read such messages. It offers no other place to say so."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """What a fetch brought: aiokafka's reader, and another one for the batches that it does not get through."""

    def __init__(self, raw: bytes) -> None:
        self._batches = _MemoryRecordsPy(raw)

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        raw = self._batches._next_slice
        batch = self._batches.next_batch()
        return TolerantBatch(batch, bytes(raw)) if isinstance(batch, DefaultRecordBatch) else batch

    def size_in_bytes(self) -> int:
        return int(self._batches.size_in_bytes())


class TolerantBatch:
    """aiokafka's batch in all but its iteration."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        last = -1
        try:
            for record in self._batch:
                last = record.offset
                yield record
        except UnicodeDecodeError:
            yield from (record for record in _records(self._raw) if record.offset > last)


class _Record(NamedTuple):
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def _records(raw: bytes) -> Iterator[_Record]:
    """One after the other, as https://kafka.apache.org/documentation/#record lays them out."""
    batch = _DefaultRecordBatchPy(raw)
    iter(batch)  # uncompresses it
    reader = _Reader(bytes(batch._buffer), batch._pos)
    for _ in range(batch._num_records):
        reader.varint()  # length
        reader.varint()  # attributes: none are in use
        timestamp = batch.first_timestamp + reader.varint()
        offset = batch.base_offset + reader.varint()
        key, value = reader.bytes(), reader.bytes()
        headers = [(_name(reader.bytes()), reader.bytes()) for _ in range(reader.varint())]
        yield _Record(offset, timestamp, batch.timestamp_type, key, value, headers)


def _name(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "backslashreplace")


class _Reader:
    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self._at = at

    def varint(self) -> int:
        value, self._at = decode_varint(self._raw, self._at)
        return int(value)

    def bytes(self) -> bytes | None:
        length = self.varint()
        if length < 0:
            return None
        self._at += length
        return self._raw[self._at - length : self._at]
