"""Finance by the command line: what it says, what it refuses, and what it never shows."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support.bank_replies import booking, detail, statement
from support.databases import with_database
from support.ledger import name
from support.payees import IBAN, key
from support.payouts import PAYER, earn, new_campaign, new_promoter
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.payout import Iban
from schemas.seal_keys import parse_keys
from schemas.settings import Settings, settings
from sinks.migrate import migrate_up
from sinks.postgres import connect
from sinks.settle import settle

Run = Callable[..., Result]
ANNA, BEN = ("--actor", "anna"), ("--actor", "ben")


@pytest.fixture(scope="module")
def url(stack: Settings) -> str:
    """Of a migrated Postgres that no other tests use: a draft takes in everybody."""
    found = with_database(stack.url("postgres"), f"payouts_cli_{secrets.token_hex(4)}")
    migrate_up(stack.model_copy(update={"postgres": found}), ["postgres"])
    return found


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Runs a command line; whatever it says, no account is in it."""
    payer = tmp_path / "payer.json"
    payer.write_bytes(msgspec.json.encode(PAYER))
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", url)
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", key("cli-1"))
    monkeypatch.setenv("VIEWLEDGER_PAYER", str(payer))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()

    def run(*words: object) -> Result:
        settings.cache_clear()
        result = CliRunner().invoke(app, ["payouts", *map(str, words)])
        said = result.stdout + result.stderr + str(result.exception)
        assert isinstance(PAYER.details, Iban)
        for account in (IBAN, PAYER.details.iban):
            assert account[4:-4] not in re.sub(r"\s", "", said)
        assert "Traceback" not in said
        return result

    yield run
    settings.cache_clear()
    with connect(Settings(postgres=url)) as conn:
        conn.execute("UPDATE promoters SET status = 'suspended'")


@pytest.fixture
def promoters(url: str, run: Run) -> list[str]:
    """Two with 1.234 EUR payable each, in the order of their lines."""
    found = settings().payee_keys
    assert found is not None
    keys = parse_keys(found.get_secret_value())
    with connect(Settings(postgres=url)) as conn:
        campaign = new_campaign(conn)
        promoters = sorted(new_promoter(conn, keys) for _ in range(2))
        for promoter in promoters:
            earn(conn, campaign, promoter, 1234)
        settle(conn)
    return promoters


def drafted(run: Run) -> str:
    said = run("draft", "--currency", "EUR", *ANNA).stdout
    found = re.search(
        r"^Batch (\d+) is draft: 2 lines, 2.460000 EUR, drafted by anna\.$", said, re.MULTILINE
    )
    assert found is not None, said
    return found[1]


def approved(run: Run) -> str:
    batch = drafted(run)
    assert run("approve", batch, *BEN).exit_code == 0
    return batch


def problem(result: Result) -> str:
    """What `main` prints behind `viewledger: `; one line."""
    assert isinstance(result.exception, Problem), (result.output, result.exception)
    assert result.stdout == ""
    said = str(result.exception)
    assert "\n" not in said
    return said


@pytest.mark.services
def test_from_draft_to_the_answer_of_the_bank(
    run: Run, promoters: list[str], tmp_path: Path
) -> None:
    command = ("draft", "--currency", "eur", *ANNA, "--min", "1.00", "--key", name("key"))
    said = run(*command).stdout
    found = re.search(r"Batch (\d+) is draft: 2 lines, 2.460000 EUR, drafted by anna\.", said)
    assert found is not None
    batch = found[1]
    assert run(*command).stdout == said
    again = run("draft", "--currency", "EUR", *ANNA).stdout
    assert f"Left payable, below the minimum: 2 promoters, 0.008000 EUR ({promoters[0]}, " in again
    assert "Nothing in EUR is to be paid; no batch was made." in again

    shown = run("show", batch).stdout.splitlines()
    assert [line.split(maxsplit=5)[5] for line in shown[1:]] == [
        f"Ada Müller, {IBAN[:4]} **** **** {IBAN[-4:]}"
    ] * 2
    lines = [line.split()[0] for line in shown[1:]]
    assert f"anna drafted batch {batch}: somebody else has to" in problem(
        run("approve", batch, *ANNA)
    )
    assert "has to be approved first" in problem(run("export", batch, *BEN))
    assert (
        "2 lines, 2.460000 EUR, drafted by anna, approved by ben."
        in run("approve", batch, *BEN).stdout
    )

    files = []
    for out in ("one", "two"):
        said = run("export", batch, *BEN, "--out", out, "--date", "2026-11-30").stdout
        files.append(Path(out) / f"payout-{batch}.xml")
        assert re.fullmatch(rf"{files[-1]}: [0-9,]+ bytes, SHA-256 [0-9a-f]{{64}}\n", said)
        assert [path.name for path in Path(out).iterdir()] == [files[-1].name]
        assert files[-1].stat().st_mode & 0o777 == 0o600
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "is exported: the bank may have the file" in problem(run("cancel", batch, *BEN))

    answer = tmp_path / "statement.xml"
    answer.write_bytes(
        statement(booking("1.23", detail(f"VL{lines[0]}")), booking("9.99", detail("VL99999999")))
    )
    said = run("import", answer, *ANNA).stdout
    assert "(camt.053): 1 settled; 0 unrelated." in said
    assert "VL99999999 9.99 EUR: settled  (unknown reference)" in said
    assert "imported before: nothing was changed." in run("import", answer, *ANNA).stdout
    assert "VL99999999" in run("puzzles").stdout
    assert run("mark", lines[1], "failed", *ANNA, "--reason", "closed").stdout == (
        f"Line {lines[1]} is failed.\n"
    )
    assert "it must be settled, failed or returned" in problem(run("mark", lines[1], "lost", *ANNA))
    assert f"Batch {batch} is closed" in run("show", batch).stdout
    assert run("list").stdout.splitlines()[1].split() == [
        *(batch, "closed", "2", "2.460000", "EUR", "anna")
    ]


@pytest.mark.services
def test_show_as_json(run: Run, promoters: list[str]) -> None:
    batch = approved(run)
    shown = json.loads(run("show", batch, "--json").stdout)
    assert (shown["batch_id"], shown["currency"], shown["status"]) == (
        int(batch),
        "EUR",
        "approved",
    )
    assert (shown["drafted_by"], shown["approved_by"], shown["format"]) == ("anna", "ben", None)
    assert re.fullmatch("[0-9a-f]{64}", shown["chain_head"])
    keys = ("promoter_id", "gross_micros", "amount_minor", "status", "netted_micros")
    assert [tuple(line[each] for each in keys) for line in shown["lines"]] == [
        (promoter, 1_230_000, 123, "approved", 0) for promoter in promoters
    ]
    said = run("cancel", batch, "--line", shown["lines"][0]["line_id"], *ANNA, "--reason", "no")
    assert f"Batch {batch} is approved: 1 lines, 1.230000 EUR" in said.stdout
    again = json.loads(run("show", batch, "--json").stdout)["lines"]
    assert [(line["status"], line["reason"]) for line in again] == [
        ("cancelled", "no"),
        ("approved", ""),
    ]
    assert f"Batch {batch} is cancelled: 0 lines" in run("cancel", batch, *ANNA).stdout


@pytest.mark.services
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", 4_000_000), "there is no payout batch 4000000: see `viewledger payouts list`"),
        (("show", 2**62, "--json"), f"there is no payout batch {2**62}"),
        (("approve", 4_000_000, *ANNA), "there is no payout batch 4000000"),
        (("cancel", 4_000_000, *ANNA), "there is no payout batch 4000000"),
        (("cancel", 4_000_000, "--line", 2**63, *ANNA), "there is no payout batch 4000000"),
        (("export", 4_000_000, *ANNA), "there is no payout batch 4000000"),
        (("mark", 10**13, "settled", *ANNA), "unknown reference"),
        (("draft", "--currency", "EUR", *ANNA, "--min", "abc"), "the amount is 'abc'"),
        (("draft", "--currency", "EUR", *ANNA, "--min", "-1"), "the amount is '-1'"),
        (("draft", "--currency", "EUR", *ANNA, "--min", "1" * 13), "at most 12 digits"),
        (("draft", "--currency", "euro", *ANNA), "currency 'euro' is not a three-letter"),
        (("draft", "--currency", "QQQ", *ANNA), "'QQQ' is no currency of ISO 4217"),
        (("draft", "--currency", "XAU", *ANNA), "'XAU' is no currency of ISO 4217"),
        (("draft", "--currency", "EUR", *ANNA, "--until", "2999-01-01"), "is in the future"),
        (("draft", "--currency", "EUR", "--actor", " "), "--actor is empty"),
        (("draft", "--currency", "EUR", "--actor", "a\nb"), "--actor is 'a\\nb'"),
        (("draft", "--currency", "EUR", "--actor", "a\udcff"), "--actor is 'a\\udcff'"),
        (("draft", "--currency", "EUR", *ANNA, "--key", "\udcff"), "UTF-8"),
        (("import", "none.xml", *ANNA), "none.xml: No such file or directory"),
        (("import", ".", *ANNA), "Is a directory"),
        (("import", "payer.json", *ANNA), "payer.json: "),
    ],
)
def test_bad_input_is_one_line(run: Run, words: tuple[object, ...], said: str) -> None:
    assert said in problem(run(*words))


@pytest.mark.services
@pytest.mark.parametrize(
    "content",
    [b"", b"%PDF-1.7 \x00\xff", b"<html>VL1</html>", b"<Document", b"\xff\xfe<\x00", b"5" * 940],
)
def test_what_is_no_file_of_a_bank(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "answer.xml"
    file.write_bytes(content)
    assert "answer.xml: " in problem(run("import", file, *ANNA))


@pytest.mark.services
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PAYEE_KEYS", None, "set VIEWLEDGER_PAYEE_KEYS"),
        pytest.param("PAYEE_KEYS", key("other"), "cli-1", id="another key"),
        ("PAYER", None, "give --payer FILE or set VIEWLEDGER_PAYER"),
        ("PAYER", "none.json", "payer file none.json: No such file or directory"),
        ("PAYER", "bad.json", "payer file bad.json: "),
        ("POSTGRES", "postgresql://127.0.0.1:9/none", "Postgres: "),
    ],
)
def test_what_export_needs(
    run: Run,
    promoters: list[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    said: str,
) -> None:
    batch = approved(run)
    Path("bad.json").write_bytes(msgspec.json.encode(PAYER).replace(b'"name"', b'"nam\xff"'))
    if value is None:
        monkeypatch.delenv(f"VIEWLEDGER_{variable}")
    else:
        monkeypatch.setenv(f"VIEWLEDGER_{variable}", value)
    assert said in problem(run("export", batch, *BEN, "--out", "out"))
    assert not Path("out").exists()


@pytest.mark.services
def test_where_files_cannot_be_written_the_batch_can_be_exported_again(
    run: Run, promoters: list[str], tmp_path: Path
) -> None:
    batch = approved(run)
    (tmp_path / "file").touch()
    assert "export again, to another folder" in problem(run("export", batch, *BEN, "--out", "file"))
    # Somebody has left a file of this name that all can read, or a link to one.
    readable, elsewhere = tmp_path / f"payout-{batch}.xml", tmp_path / "elsewhere"
    readable.write_text("x" * 100_000)
    readable.chmod(0o644)
    said = run("export", batch, *BEN).stdout
    assert f"payout-{batch}.xml: " in said
    assert readable.stat().st_mode & 0o777 == 0o600
    content = readable.read_bytes()
    assert content.endswith(b"</Document>") or content.rstrip().endswith(b">")
    readable.unlink()
    elsewhere.write_text("")
    readable.symlink_to(elsewhere)
    assert run("export", batch, *BEN).exit_code == 0
    assert elsewhere.read_text() == ""
    assert readable.read_bytes() == content
