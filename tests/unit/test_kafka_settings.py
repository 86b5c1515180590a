"""Papers are complete or refused, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from events.kafka import GroupTiming, KafkaPublisher, KafkaRefused, KafkaSettings
from events.relay import Message, PublishFailed
from tests.examples import ORDER

PASSWORD = SecretStr("hunter2")


def test_a_password_is_never_printed() -> None:
    settings = KafkaSettings("kafka:9092", "SASL_SSL", user="waybill", password=PASSWORD)
    assert "hunter2" not in f"{settings!r} {settings!s}"
    assert settings.options(1.0)["sasl_plain_password"] == "hunter2"


def test_several_brokers_are_written_with_commas() -> None:
    assert KafkaSettings("a:1, b:2").options(1.5) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "waybill",
        "request_timeout_ms": 1_500,
        "metadata_max_age_ms": 30_000,
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_needs_a_user() -> None:
    with pytest.raises(KafkaRefused, match="user name"):
        KafkaSettings("a:1", "SASL_PLAINTEXT").options(1.0)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_must_be_one(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KafkaRefused, match=r"ca\.pem"):
        KafkaSettings("a:1", "SSL", ca_file=file).options(1.0)


def test_papers_that_are_not_in_order_fail_a_publish_in_words(tmp_path: Path) -> None:
    publisher = KafkaPublisher(KafkaSettings("a:1", "SSL", ca_file=tmp_path / "missing"))
    with pytest.raises(PublishFailed, match="missing"):
        publisher.publish([mark()])
    publisher.close()


def mark() -> Message:
    return Message("topic", ORDER, 0, 1, 0, None)


def test_joining_is_waited_for_longer_than_a_session() -> None:
    timing = GroupTiming()
    assert timing.request_timeout_s > timing.session_timeout_s > 3 * timing.heartbeat_s
