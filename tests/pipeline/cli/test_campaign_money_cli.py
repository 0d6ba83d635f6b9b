from collections.abc import Iterator

import pytest
from support.ledger import campaign, name
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.settings import Settings, settings
from sinks.catalogue import load_catalogue, save_campaigns
from sinks.postgres import connect

pytestmark = pytest.mark.services


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Runs `viewledger campaigns …` against the embedded services."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    settings.cache_clear()

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, ["campaigns", *map(str, words)])

    yield run
    settings.cache_clear()


@pytest.fixture
def campaign_id(stack: Settings) -> str:
    """A campaign without money."""
    with connect(stack) as conn:
        mine = campaign(0)
        save_campaigns(conn, [mine])
    return mine.campaign_id


def test_fund_and_refund(run, campaign_id: str) -> None:
    funded = run("fund", campaign_id, "1234.5", "--key", key := name("key")).stdout
    assert f"Funded {campaign_id}: 1,234.500000 EUR. Left in the budget: 1,234.5" in funded
    again = run("fund", campaign_id, "1234.50", "--key", key).stdout
    assert "1,234.500000 EUR before, nothing was done now. Left in the budget: 1,234.5" in again
    said = run("refund", campaign_id, "0.000001").stdout
    assert "Left in the budget: 1,234.499999 EUR" in said
    printed = said.split()[1]
    assert "nothing was done" in run("refund", campaign_id, "0.000001", "--key", printed).stdout
    rest = run("refund", campaign_id).stdout
    assert f"Refunded {campaign_id}: 1,234.499999 EUR. Left in the budget: 0.000000" in rest


def test_a_rate_for_now_and_one_for_later(run, stack: Settings, campaign_id: str) -> None:
    assert "2000 micros per valid view that is viewed from" in run("rate", campaign_id, 2000).stdout
    later = run("rate", campaign_id, 3000, "--from", "2099-01-01").stdout
    assert "3000 micros per valid view that is viewed from 2099-01-01T00:00:00.000Z." in later
    with connect(stack) as conn:
        assert load_catalogue(conn).rates[campaign_id].rate_micros == (1000, 2000, 3000)
    (line,) = [line for line in run("list").stdout.splitlines() if campaign_id in line]
    assert "0.002000 EUR" in line


def test_bad_input_is_a_sentence(run, campaign_id: str) -> None:
    for words, said in [
        (("fund", campaign_id, "1,000"), "the amount is '1,000'"),
        (("fund", campaign_id, "1e3"), "the amount is '1e3'"),
        (("fund", campaign_id, "0.0000001"), "at most 12 digits and six decimals"),
        (("fund", campaign_id, "0"), "must be more than zero"),
        (("fund", name(), "5"), "is not in the catalogue"),
        (("refund", campaign_id), "nothing can be refunded"),
        (("refund", campaign_id, "1"), "0.000000 EUR are left"),
        (("rate", campaign_id, "5", "--from", "tomorrow"), "--from is 'tomorrow'"),
        (
            ("rate", campaign_id, "5", "--from", "2020-01-01"),
            "2020-01-01 00:00:00+00:00 has passed",
        ),
        (("rate", campaign_id, "0"), "the rate is 0"),
        (("rate", name(), "5"), "is not in the catalogue"),
    ]:
        result = run(*words)
        assert isinstance(result.exception, Problem), words
        assert said in str(result.exception)
    key = name("key")
    run("fund", campaign_id, "5", "--key", key)
    result = run("fund", campaign_id, "6", "--key", key)
    assert isinstance(result.exception, Problem)
    assert "a new request needs a new key" in str(result.exception)
