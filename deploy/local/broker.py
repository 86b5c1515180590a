"""Apache Kafka without Docker: one broker of its jars, under the Java of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.jars import java, kafka_jars
from deploy.local.machine import LOOPBACK, listens
from deploy.local.processes import Server

_HERE = Path(__file__).parent

# For a machine of two cores that runs a dozen other processes as well.
_KAFKA_OPTIONS: Mapping[str, str | int] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    "auto.create.topics.enable": "false",  # one with another number of partitions than ours is worse than none
    "num.network.threads": 2,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 4_000_000,  # 128 MB otherwise, a quarter of the heap
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,  # tests pause a worker past its session timeout and cannot wait for long
    # After a SIGKILL the broker is let in again once the session of the one before is over: 9 s otherwise.
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 500,
    # One broker, so one copy of everything.
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
}
_CLUSTER_ID = "V2F5YmlsbExvY2FsMDAwMQ"  # 16 bytes in base64, as Kafka wants them
# Half the memory of the usual heap, the collector for few cores, and no second compiler: 2 s until it serves.
_JVM_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class KafkaServer(Server):
    """One broker that is its own controller (KRaft). Topics are made by those who use them."""

    name = "Kafka"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        options: Mapping[str, str | int] | None = None,
        users: Mapping[str, str] | None = None,
        tied: bool = False,
    ) -> None:
        """`options` go over ours. With `users` (password by name) there is a second door: `sasl_bootstrap`."""
        super().__init__(folder, port, tied=tied)
        self._controller_port = self.kept_port("controller-port")
        self._sasl_port = self.kept_port("sasl-port") if users else None
        self._options = {**_KAFKA_OPTIONS, **self._listeners(), **_sasl(users or {}), **(options or {})}
        self._config = self.folder / "server.properties"

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def sasl_bootstrap(self) -> str:
        """The door with a password: SASL_PLAINTEXT, mechanism PLAIN."""
        return f"{LOOPBACK}:{self._sasl_port}"

    def prepare(self) -> None:
        self._java = java()
        self._class_path = f"{kafka_jars()}/*"
        self._config.write_text("".join(f"{key}={value}\n" for key, value in self._options.items()))
        self._config.chmod(0o600)  # may hold passwords
        if not (self.folder / "data" / "meta.properties").exists():
            arguments = ("format", "-t", _CLUSTER_ID, "-c", self._config)
            self.run(*self._program("kafka.tools.StorageTool"), *arguments)

    def command(self) -> Sequence[str | Path]:
        return [*self._program("kafka.Kafka"), self._config]

    def is_ready(self) -> bool:
        # It listens a moment before it can serve; this line is written when the controller has let it in.
        return "Kafka Server started" in self.said() and listens(self.port)

    def _program(self, main: str) -> list[str | Path]:
        logging = f"-Dlog4j2.configurationFile={_HERE / 'kafka' / 'log4j2.properties'}"
        return [self._java, *_JVM_OPTIONS, logging, "-cp", self._class_path, main]

    def _listeners(self) -> dict[str, str]:
        public = [f"PLAINTEXT://{self.bootstrap}"]
        if self._sasl_port:
            public.append(f"SASL_PLAINTEXT://{self.sasl_bootstrap}")
        controller = f"{LOOPBACK}:{self._controller_port}"
        return {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": ",".join([*public, f"CONTROLLER://{controller}"]),
            "advertised.listeners": ",".join(public),
            "log.dirs": str(self.folder / "data"),
        }


def _sasl(users: Mapping[str, str]) -> dict[str, str]:
    if not users:
        return {}
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    known = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    return {
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} required {known};",
    }
