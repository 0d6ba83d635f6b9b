"""One URL, and what is said of a wrong one: never the password."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.redis_url import RedisUrl


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.touch()
    return str(path)


def parsed(url: str) -> tuple[Any, ...]:
    return tuple(RedisUrl.parse(url))


def test_one_server() -> None:
    assert parsed("redis://redis") == ("single", (("redis", 6379),), "", {"db": 0}, {})
    assert parsed("redis://viewledger:p%40ss%2Fword@[::1]:7000/3") == (
        "single",
        (("::1", 7000),),
        "",
        {"username": "viewledger", "password": "p@ss/word", "db": 3},
        {},
    )
    assert RedisUrl.parse("redis://:secret@redis:1/").options == {"password": "secret", "db": 0}


def test_tls(pem: str) -> None:
    url = f"rediss://redis?ssl_ca_certs={pem}&ssl_certfile={pem}&ssl_keyfile={pem}"
    assert RedisUrl.parse(f"{url}&ssl_check_hostname=false&ssl_cert_reqs=optional").options == {
        "ssl": True,
        "ssl_ca_certs": pem,
        "ssl_certfile": pem,
        "ssl_keyfile": pem,
        "ssl_check_hostname": False,
        "ssl_cert_reqs": "optional",
        "db": 0,
    }


def test_sentinels(pem: str) -> None:
    assert parsed("redis+sentinel://one,[::1]:26380/main") == (
        "sentinel",
        (("one", 26379), ("::1", 26380)),
        "main",
        {"db": 0},
        {},
    )
    found = RedisUrl.parse(f"rediss+sentinel://me:secret@one:1/my%20main/2?ssl_ca_certs={pem}")
    tls = {"ssl": True, "ssl_ca_certs": pem}
    assert found.master == "my main"
    assert found.options == {"username": "me", "password": "secret", "db": 2, **tls}
    assert found.sentinel_options == {"username": "default", "password": "secret", **tls}


@pytest.mark.parametrize(
    ("login", "query", "expected"),
    [
        ("", "", {}),
        (":a@", "sentinel_password=b", {"username": "default", "password": "b"}),
        ("", "sentinel_password=b", {"username": "default", "password": "b"}),
        ("me:a@", "sentinel_username=s", {"username": "s", "password": "a"}),
        ("", "sentinel_username=s&sentinel_password=b", {"username": "s", "password": "b"}),
    ],
)
def test_the_login_at_the_sentinels(login: str, query: str, expected: dict[str, str]) -> None:
    url = f"redis+sentinel://{login}one:1/main?{query}".rstrip("?")
    assert RedisUrl.parse(url).sentinel_options == expected


def test_a_cluster() -> None:
    servers = (("one", 7000), ("two", 7001))
    for path in ("", "/", "/0"):
        assert parsed(f"redis+cluster://:secret@one:7000,two:7001{path}") == (
            "cluster",
            servers,
            "",
            {"password": "secret"},
            {},
        )
    assert RedisUrl.parse("rediss+cluster://one").options == {"ssl": True}


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(["", "+sentinel", "+cluster"]))
def test_any_password_can_be_written(user: str, password: str, kind: str) -> None:
    url = f"redis{kind}://{quote(user, safe='')}:{quote(password, safe='')}@one:1/"
    options = RedisUrl.parse(url + "main" * (kind == "+sentinel")).options
    assert (options["username"], options["password"]) == (user, password)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://:hunter2@one", "none of redis://"),
        ("redis+proxy://:hunter2@one", "none of redis://"),
        ("redis://:hun#ter2@one", "%23"),
        ("redis://", "server 1"),
        ("redis://:hunter2@/0", "server 1"),
        ("redis://:hunter2/2@one/0", "server 1"),
        ("redis://:hunter2?2@one/0", "server 1"),
        ("redis+cluster://:hunter2@one:1,two:x", "server 2"),
        ("redis+cluster://:hunter2@one:1,", "server 2"),
        ("redis+cluster://:hunter2@one:0", "server 1"),
        ("redis+cluster://:hunter2@one:65536", "server 1"),
        ("redis+cluster://:hunter2@::1:1", "server 1"),
        ("redis://:hunter2@one,two", "2 servers"),
        ("redis://hunter2@one", ":password@"),
        ("redis://:hunter2@one/main", "redis://host:port/0"),
        ("redis://:hunter2@one/0/1", "redis://host:port/0"),
        ("redis://:hunter2@one/1111111111", "redis://host:port/0"),
        ("redis+sentinel://:hunter2@one", "the name of the master"),
        ("redis+sentinel://:hunter2@one/0", "the name of the master"),
        ("redis+sentinel://:hunter2@one/main/x", "the name of the master"),
        ("redis+cluster://:hunter2@one/1", "only the database 0"),
        ("redis+cluster://:hunter2@one/main", "only the database 0"),
        ("rediss://one?ssl_ca_certs=/no/such.pem", "'ssl_ca_certs'.*no file '/no/such.pem'"),
        (f"rediss://one?ssl_keyfile={__file__}", "'ssl_keyfile'.*'ssl_certfile'"),
        ("rediss://one?ssl_check_hostname=no", "'ssl_check_hostname'.*true, false"),
        ("rediss://one?ssl_cert_reqs=hunter2", "'ssl_cert_reqs'.*required, optional, none"),
        ("redis://one?ssl_ca_certs=x", "'ssl_ca_certs'.*rediss"),
        ("redis://one?sentinel_password=hunter2", r"'sentinel_password'.*redis\+sentinel"),
        ("redis+sentinel://one/m?sentinel_password=hunter&2", "%26"),
        ("redis+sentinel://one/m?sentinel_pasword=hunter2", "'sentinel_pasword'.*_password"),
        ("redis://one?decode_responses=1", "'decode_responses'"),
    ],
)
def test_what_is_wrong_is_named(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        RedisUrl.parse(url)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
