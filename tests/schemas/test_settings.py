"""A wrong setting is named; its value, which may hold a password, is not repeated."""

import re
from pathlib import Path

import pytest

from schemas.settings import SERVICES, NotRunningError, Settings, settings

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "hunter2@broker:9092"),
        ("KAFKA", "kafka://broker:9092?sasl_password=p&hunter2"),
        ("KAFKA", "kafka://broker:9092?sasl_pasword=hunter2"),
        ("KAFKA", "kafka://"),
        ("CLICKHOUSE", "clickhouse://u:hunter2@host"),
        ("POSTGRES", "mysql://u:hunter2@host/db"),
        ("REDIS", "http://:hunter2@host"),
        ("REDIS", "redis://hunter2@host"),
        ("REDIS", "redis://:hunter2/2@host"),
        ("REDIS", "redis+sentinel://:hunter2@host:26379"),
        ("REDIS", "redis+cluster://:hunter2@host:6379?sentinel_password=hunter2"),
        ("PARTITIONS", "hunter2"),
        ("PARTITIONS", "0"),
        ("BLOCK_ROWS", "65537"),
        ("SNAPSHOT_SECONDS", "0"),
        ("LOG_LEVEL", "hunter2"),
        ("PAYEE_KEYS", "hunter2"),
        ("PAYEE_KEYS", ""),
        ("PAYEE_KEYS", "hunter2:hunter2"),
        ("PAYEE_KEYS", "hunter2:aHVudGVyMg=="),
        ("PAYEE_KEYS", "hunter2 !:aHVudGVyMg=="),
    ],
)
def test_a_wrong_setting_ends_with_its_name_and_without_its_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"VIEWLEDGER_{name}", value)
    with pytest.raises(SystemExit) as end:
        settings()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"VIEWLEDGER_{name}: ")
    assert said.count("\n") == 1
    assert "hunter2" not in said


def test_every_wrong_setting_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_KAFKA", "x")
    monkeypatch.setenv("VIEWLEDGER_LINGER_MS", "x")
    with pytest.raises(SystemExit):
        settings()
    found = re.findall(r"^VIEWLEDGER_\w+", capsys.readouterr().err, re.MULTILINE)
    assert found == ["VIEWLEDGER_KAFKA", "VIEWLEDGER_LINGER_MS"]


def test_a_configured_service_wins_over_the_embedded_one(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text('{"kafka": "kafka://embedded:1"}')
    assert Settings(data=tmp_path).url("kafka") == "kafka://embedded:1"
    configured = Settings(data=tmp_path, kafka="kafka://real:9092")
    assert configured.url("kafka") == "kafka://real:9092"


@pytest.mark.parametrize("running", [True, False])
def test_a_service_that_is_nowhere_says_what_to_do(running: bool, tmp_path: Path) -> None:
    if running:
        (tmp_path / "endpoints.json").write_text("{}")
    with pytest.raises(NotRunningError, match=r"viewledger up.*VIEWLEDGER_REDIS"):
        Settings(data=tmp_path).url("redis")


def settings_table() -> str:
    """The table of docs/operations.md."""
    rows = ["| variable | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        unset = "embedded" if name in SERVICES else "none"
        shown = unset if field.default in (None, "") else f"`{field.default}`"
        what = (field.description or "").replace("|", "\\|")
        if "://" in what:
            what = f"`{what}`"
        rows.append(f"| `VIEWLEDGER_{name.upper()}` | {shown} | {what} |")
    return "\n".join(rows)


def test_the_manual_has_every_setting() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    found = text.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]
    assert found == settings_table(), f"put this table there:\n{settings_table()}"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
