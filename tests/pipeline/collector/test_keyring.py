import asyncio
import secrets
from datetime import timedelta

import psycopg
import pytest
import structlog
from prometheus_client import REGISTRY
from pydantic import SecretStr
from support.databases import with_database
from support.payees import key

from pipeline.collector import keyring as keyring_module
from pipeline.collector.keyring import Keyring
from schemas.api_key import Kind, Token, token_hash
from schemas.seal_keys import parse_keys
from schemas.settings import Settings
from sinks.api_keys import create_key, revoke_key, rotate_key
from sinks.migrate import migrate_up
from sinks.postgres import connect

pytestmark = pytest.mark.services
SEALING = key("a")
PAGE = "https://www.example.com"


@pytest.fixture(scope="module")
def own(stack: Settings) -> Settings:
    """A Postgres whose API keys are those of these tests."""
    url = with_database(stack.url("postgres"), f"keyring_{secrets.token_hex(4)}")
    found = stack.model_copy(update={"postgres": url, "collector_keys": SecretStr(SEALING)})
    migrate_up(found, ["postgres"])
    return found


def make(own: Settings, kind: Kind = "secret", **more: object) -> Token:
    with connect(own) as conn:
        origins = [PAGE] if kind == "publishable" else []
        return create_key(
            conn,
            parse_keys(SEALING),
            kind,
            name="n",
            actor="ada",
            origins=origins,
            **more,  # type: ignore[arg-type]
        )


def refreshed(own: Settings) -> Keyring:
    keyring = Keyring(own)
    assert not keyring.loaded
    asyncio.run(keyring.refresh())
    assert keyring.loaded
    return keyring


def test_holds_what_the_collector_needs(own: Settings) -> None:
    public, server = make(own, "publishable", events_per_minute=7), make(own)
    keyring = refreshed(own)
    page = keyring.publishable(token_hash(public.text))
    assert page is not None
    assert (page.key_id, page.kind, page.origins) == (public.key_id, "publishable", {PAGE})
    assert (page.events_per_minute, page.campaigns, page.secret) == (7, set(), b"")
    found = keyring.secret(server.key_id)
    assert found is not None
    assert (found.kind, found.secret) == ("secret", server.rest.encode())
    assert (found.events_per_minute, found.expires_ms) == (None, None)
    assert keyring.origins() == {PAGE}
    assert keyring.secret(public.key_id) is None
    assert keyring.publishable(token_hash(server.text)) is None


def test_what_is_revoked_goes_and_what_is_rotated_ends(own: Settings) -> None:
    revoked, rotated = make(own), make(own)
    with connect(own) as conn:
        sealing = parse_keys(SEALING)
        revoke_key(conn, revoked.key_id, actor="ada")
        newer = rotate_key(conn, sealing, rotated.key_id, actor="ada", grace=timedelta(hours=1))
        now = conn.execute("SELECT extract(epoch FROM now())").fetchone()
    keyring = refreshed(own)
    assert keyring.secret(revoked.key_id) is None
    old, new = keyring.secret(rotated.key_id), keyring.secret(newer.key_id)
    assert old is not None
    assert new is not None
    assert new.expires_ms is None
    assert now is not None
    assert old.expires_ms == pytest.approx(float(now[0]) * 1000 + 3_600_000, abs=60_000)


def test_is_fresh_within_seconds_and_outlives_postgres(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_module, "REFRESH_S", 0.02)
    name = f"keyring_{secrets.token_hex(4)}"
    away = own.model_copy(update={"postgres": with_database(own.url("postgres"), name)})
    migrate_up(away, ["postgres"])

    def allow(allowed: bool) -> None:
        with psycopg.connect(own.url("postgres"), autocommit=True) as owner:
            owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}".encode())

    async def until_known(keyring: Keyring, token: Token) -> None:
        async with asyncio.timeout(30):
            while keyring.secret(token.key_id) is None:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)

    async def run() -> None:
        keyring = Keyring(away)
        keeping = asyncio.create_task(keyring.keep_fresh())
        first = make(away)
        await until_known(keyring, first)
        allow(False)
        async with asyncio.timeout(30):
            while not any("stay as they are" in line["event"] for line in said):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = keyring.age_seconds()
        await asyncio.sleep(0.2)
        assert keyring.age_seconds() > before
        assert keyring.secret(first.key_id) is not None
        assert (REGISTRY.get_sample_value("viewledger_keyring_age_seconds") or 0) > before
        allow(True)
        await until_known(keyring, make(away))
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    with structlog.testing.capture_logs() as said:
        asyncio.run(run())
    assert [line["log_level"] for line in said] == ["warning", "info"]


def test_what_does_not_open_is_told_once_and_harms_no_other(own: Settings) -> None:
    lost, page = make(own), make(own, "publishable")
    other = own.model_copy(update={"collector_keys": SecretStr(key("b"))})
    keyring = Keyring(other)
    with structlog.testing.capture_logs() as said:
        for _ in range(3):
            asyncio.run(keyring.refresh())
    assert keyring.secret(lost.key_id) is None
    assert keyring.publishable(token_hash(page.text)) is not None
    (line,) = said
    assert any(lost.key_id in each and "sealed with key 'a'" in each for each in line["keys"])
    assert lost.rest not in str(line)


def test_says_so_where_postgres_is_away() -> None:
    keyring = Keyring(
        Settings(postgres="postgresql://u@127.0.0.1:1/d", collector_keys=SecretStr(SEALING))
    )
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(keyring.refresh())
    assert not keyring.loaded
    assert keyring.age_seconds() == float("inf")
