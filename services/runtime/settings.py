"""Every setting, read from the environment (`WAYBILL_...`). docs/operations.md says what each is for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Warehouse(StrEnum):
    """Who picks, packs and hands parcels over."""

    SANDBOX = "sandbox"
    MANUAL = "manual"


class Projector(StrEnum):
    """Where the projections run."""

    PROCESS = "process"
    INLINE = "inline"


class LogLevel(StrEnum):
    """The words of Python's own logging."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"


class KafkaSecurity(StrEnum):
    """The words of Kafka's own clients."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class KafkaMechanism(StrEnum):
    """How a client proves who it is, in Kafka's words."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


# Whoever writes more means never, which no clock can add to a date.
_YEAR_S = 366 * 86_400


class Settings(BaseSettings):
    """See the module's docstring. Times are in the unit that the name ends with."""

    model_config = SettingsConfigDict(env_prefix="WAYBILL_", extra="ignore", frozen=True)

    home: Path = Field(Path(".waybill"), description="The folder that holds everything of one shop.")
    store_url: SecretStr | None = Field(
        None, description="Where the event store is; without it a SQLite file in the home. May hold a password."
    )
    redis_url: SecretStr | None = Field(
        None, description="Where Redis is; without it one is started as a child process. May hold a password."
    )
    provider_url: SecretStr | None = Field(
        None, description="Where the payment provider is; without it the sandbox of the home. May hold a password."
    )
    carrier_url: SecretStr | None = Field(
        None, description="Where the carrier is; without it the sandbox of the home. May hold a password."
    )
    warehouse: Warehouse = Field(
        Warehouse.SANDBOX, description="sandbox: works by itself; manual: people over the API."
    )
    projector: Projector = Field(
        Projector.PROCESS, description="process: the projections run beside the workers; inline: in turn with them."
    )
    batch_events: int = Field(2_000, ge=1, le=10_000, description="Events a worker takes at a time.")
    call_timeout_s: float = Field(
        10.0, gt=0, le=300, description="How long one call to a provider or carrier may take."
    )
    calls_at_once: int = Field(64, ge=1, le=1_000, description="Calls under way at once, for each kind of call.")
    action_ttl_s: float = Field(
        3 * 86_400, gt=0, le=_YEAR_S, description="How long a buyer may take to confirm a payment."
    )
    tracking_every_s: float = Field(900, gt=0, le=_YEAR_S, description="How often a parcel on its way is asked about.")
    http_host: str = Field("127.0.0.1", description="The address that the HTTP server listens on.")
    http_port: int = Field(
        8000, ge=0, le=65_535, description="The port that the HTTP server listens on; 0: any free one."
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="The largest HTTP body that is read.")
    patience_s: float = Field(30.0, gt=0, description="How long a command waits for a store or Redis that is away.")
    log_level: LogLevel = Field(LogLevel.WARNING, description="What is written to standard error, and above.")
    log_format: LogFormat = Field(
        LogFormat.TEXT, description="text: for people; json: one object a line, for collectors."
    )
    kafka: str | None = Field(None, description="Kafka's bootstrap servers: host:port,host:port.")
    kafka_security: KafkaSecurity = Field(
        KafkaSecurity.PLAINTEXT, description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as Kafka calls them."
    )
    kafka_mechanism: KafkaMechanism = Field(
        KafkaMechanism.SCRAM_SHA_512, description="How to log in to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
    )
    kafka_user: str | None = Field(None, description="Who logs in to Kafka.")
    kafka_password: SecretStr | None = Field(None, description="Its password.")
    kafka_ca_file: Path | None = Field(None, description="Certificates that Kafka's brokers are checked against.")
    kafka_partitions: int = Field(
        12, ge=1, le=12, description="Partitions of each topic: a divisor of 12 shares evenly."
    )
    kafka_replication: int = Field(1, ge=1, le=5, description="Copies of each topic that Kafka keeps.")
    insights_many_orders: int = Field(
        20, ge=1, le=10_000, description="Orders of one customer, or to one address, within an hour before it is told."
    )
    insights_hold: bool = Field(False, description="Whether the orders beyond that are held for a person to look at.")
    insights_sells_out_h: float = Field(
        24.0, gt=0, le=8_784, description="An article that at its pace is gone within so many hours is told."
    )
    metrics_host: str = Field("127.0.0.1", description="Where a role answers /livez, /readyz and /metrics.")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Its port; 0: any free one.")
