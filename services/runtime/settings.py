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
    action_ttl_s: float = Field(3 * 86_400, gt=0, description="How long a buyer may take to confirm a payment.")
    tracking_every_s: float = Field(900, gt=0, description="How often a parcel on its way is asked about.")
    http_host: str = Field("127.0.0.1", description="The address that the HTTP server listens on.")
    http_port: int = Field(
        8000, ge=0, le=65_535, description="The port that the HTTP server listens on; 0: any free one."
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="The largest HTTP body that is read.")
    patience_s: float = Field(30.0, gt=0, description="How long a command waits for a store or Redis that is away.")
    log_level: LogLevel = Field(LogLevel.WARNING, description="What is written to standard error, and above.")
