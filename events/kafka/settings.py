"""Where Kafka is, who we are there, and how patient we are with it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from events.kafka.errors import KafkaRefused

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True)
class KafkaSettings:
    """A broker's address and our papers. Its password is never printed."""

    bootstrap: str
    """One or more `host:port`, with commas between them."""
    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism = "PLAIN"
    user: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca_file: Path | None = None
    """PEM file of who vouches for the broker's certificate; None: whom this machine trusts."""
    client_id: str = "waybill"
    """What the broker's logs and metrics call us."""

    # How soon new partitions and moved leaders are noticed without an error that tells.
    METADATA_MAX_AGE_S = 30.0

    def options(self, request_timeout_s: float) -> dict[str, Any]:
        """What every client of aiokafka takes. Raises KafkaRefused if the papers are not in order."""
        return {
            "bootstrap_servers": [one.strip() for one in self.bootstrap.split(",")],
            "client_id": self.client_id,
            "request_timeout_ms": round(request_timeout_s * 1000),
            "metadata_max_age_ms": round(self.METADATA_MAX_AGE_S * 1000),
            **self.papers(),
        }

    def papers(self) -> Mapping[str, Any]:
        """How we connect. Raises KafkaRefused."""
        found: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol.startswith("SASL"):
            if not self.user:
                raise KafkaRefused(f"{self.security_protocol} needs a user name and a password")
            found["sasl_mechanism"] = self.sasl_mechanism
            found["sasl_plain_username"] = self.user
            found["sasl_plain_password"] = self.password.get_secret_value()
        if self.security_protocol.endswith("SSL"):
            found["ssl_context"] = self._tls()
        return found

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise KafkaRefused(f"the CA file {self.ca_file} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class GroupTiming:
    """How a member of a group keeps time. All in seconds."""

    session_timeout_s: float = 6.0
    """Silent for so long, a member is taken for dead: its slots stand still until then. The least that brokers allow
    unless told otherwise. Being wrong about it costs a hand-over and nothing else: the store fences."""
    heartbeat_s: float = 1.0
    """Members learn of a hand-over by a heartbeat's answer, so this is how long one takes. A heartbeat costs 0.2 ms."""
    request_timeout_s: float = 10.0
    """Joining is answered when all members have joined: at most after their session timeout."""
    start_s: float = 10.0
    """For the first connection and the list of topics."""
    poll_s: float = 0.2
    """The longest turn: how soon a closing, or room that was made, is noticed while nothing comes."""
    commit_every_s: float = 1.0
    """Offsets only say where to go on after a restart; what comes again because of an old one is passed over."""
    stall_s: float = 5.0
    """The relay's marks come every second. After so long without anything the broker is asked whether it has more."""
    answer_s: float = 3.0
    """How long that question, and an orderly farewell, may take."""
    drain_s: float = 10.0
    """How long the workers have to let go of slots when we close; a batch takes well under a second."""
    retry_s: float = 0.2
    retry_most_s: float = 2.0
    """Pauses between attempts, doubling: a broker that came back is found within the latter."""


class GroupHooks:
    """What an operator wants to know of a group member. Called from its thread; must neither block nor raise."""

    def trouble(self, words: str) -> None:
        """Something is wrong and is being retried."""

    def well(self) -> None:
        """We are a member, and the broker answers."""

    def holds(self, slots: frozenset[int]) -> None:
        """These are ours from now on, all others are not."""

    def delivered(self, messages: int, illegible: int) -> None:
        """So many messages came, of which some were none of this log's."""

    def remade(self, words: str) -> None:
        """The consumer was thrown away and is made anew."""
