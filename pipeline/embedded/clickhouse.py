"""Embedded ClickHouse: the engine of the chdb wheel, serving HTTP and its native protocol."""

import sys
import urllib.error
import urllib.request
from pathlib import Path
from xml.sax.saxutils import escape

from pipeline.embedded.kept import Server, kept_password, kept_port, write_private

_CONFIG = """\
<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <tcp_port>{native_port}</tcp_port>
  <path>{data}/</path>
  <users_config>{users}</users_config>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
"""

# The engine itself runs as `default`, who cannot have a password: the rights to listen are
# all it gets.
_USERS = """\
<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <viewledger>
      <password>{password}</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </viewledger>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
  </users>
</clickhouse>
"""


def prepare(folder: Path) -> Server:
    """Writes the configuration of a ClickHouse in `folder`, which is not running."""
    port, password = kept_port(folder), kept_password(folder)
    config = _CONFIG.format(
        port=port,
        native_port=kept_port(folder, "native_port"),
        data=escape(str(folder / "data")),
        users=escape(str(folder / "users.xml")),
    )
    write_private(folder / "config.xml", config)
    write_private(folder / "users.xml", _USERS.format(password=password))
    return Server(
        [sys.executable, "-m", "pipeline.embedded.clickhouse_server", str(folder)],
        f"http://viewledger:{password}@127.0.0.1:{port}/viewledger",
        lambda: _ready(port, password),
    )


def native_url(folder: Path) -> str:
    """Address of the native protocol of the prepared ClickHouse in `folder`."""
    port, password = (folder / "native_port").read_text(), kept_password(folder)
    return f"clickhouse://viewledger:{password}@127.0.0.1:{port}/viewledger"


def _ready(port: int, password: str) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        data=b"CREATE DATABASE IF NOT EXISTS viewledger",
        headers={"X-ClickHouse-User": "viewledger", "X-ClickHouse-Key": password},
    )
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - our own address
            return True
    except OSError:
        return False
