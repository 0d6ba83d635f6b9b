from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import View, after, campaign, name, new_partition, table

from schemas.catalogue import Promoter
from schemas.fencing import Progress
from sinks.book import book
from sinks.catalogue import (
    Changes,
    catalogue_version,
    import_campaigns,
    import_promoters,
    load_catalogue,
    save,
    save_campaigns,
    save_promoters,
)
from sinks.catalogue_file import CatalogueError
from sinks.ledger_fund import remaining_budgets
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection

pytestmark = pytest.mark.services
change = msgspec.structs.replace


def left(conn: Connection, campaign_id: str) -> int:
    return next(left for each, left in remaining_budgets(conn) if each.campaign_id == campaign_id)


def spend(conn: Connection, campaign_id: str, views: int) -> None:
    batch = [table([View(campaign_id)] * views)]
    book(conn, new_partition(), Progress(), after(Progress()), batch)


def test_what_is_saved_is_loaded(conn: Connection) -> None:
    one, two = campaign(), campaign(budget_micros=0, currency="JPY", status="paused")
    two = change(two, fee_bp=250, daily_budget_micros=5_000, hold_hours=0)
    promoter = Promoter(promoter_id=name("p"), status="suspended")
    assert save(conn, [one, two], [promoter]) == (2, 1)
    catalogue = load_catalogue(conn)
    assert catalogue.campaigns[one.campaign_id] == one
    assert catalogue.campaigns[two.campaign_id] == two
    assert catalogue.promoters[promoter.promoter_id] == promoter
    assert catalogue.version == catalogue_version(conn)


def test_says_what_changed_and_raises_the_version_only_then(
    conn: Connection, owner: Connection
) -> None:
    one, two, three = campaign(), campaign(), campaign()
    assert save_campaigns(conn, [one, two]) == Changes(new=2)
    version = catalogue_version(conn)
    assert save_campaigns(conn, [one, two]) == Changes(unchanged=2)
    assert catalogue_version(conn) == version
    changed = change(one, ends_at=one.ends_at + timedelta(days=1), rate_micros=7)
    shown = repr(one.campaign_id)
    assert save_campaigns(conn, [changed, two, three]) == Changes(
        *(1, 1, 1),
        (
            f"campaign {shown}: rate_micros 1000 → 7 for what is viewed from now on",
            f"campaign {shown}: ends_at {one.ends_at} → {changed.ends_at}",
        ),
    )
    assert load_catalogue(conn).campaigns[one.campaign_id] == changed
    promoter = Promoter(promoter_id=name("p"), status="active")
    version = catalogue_version(conn)
    for saved, changes in [
        (promoter, Changes(new=1)),
        (promoter, Changes(unchanged=1)),
        (change(promoter, status="suspended"), Changes(changed=1)),
    ]:
        assert save_promoters(conn, [saved]) == changes
        assert (catalogue_version(conn) > version) == (not changes.unchanged)
        version = catalogue_version(conn)
    owner.execute("DELETE FROM promoters WHERE promoter_id = %s", (promoter.promoter_id,))
    assert catalogue_version(conn) > version


def test_existing_ones_are_kept_where_asked(conn: Connection) -> None:
    known = campaign()
    promoter = Promoter(promoter_id=name("p"), status="suspended")
    save(conn, [known], [promoter])
    other = change(known, rate_micros=5, budget_micros=1, currency="USD")
    active = change(promoter, status="active")
    assert save(conn, [other, campaign()], [active], keep_existing=True) == (1, 0)
    assert load_catalogue(conn).campaigns[known.campaign_id] == known
    assert load_catalogue(conn).promoters[promoter.promoter_id] == promoter


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=6))
def test_the_ledger_holds_the_budget_minus_what_is_spent(
    session_conn: Connection, steps: list[tuple[int, int]]
) -> None:
    conn, spent = session_conn, 0
    known = campaign(budget_micros=0)
    save_campaigns(conn, [known])
    for thousands, views in steps:
        wanted = change(known, budget_micros=1000 * thousands)
        if wanted.budget_micros >= spent:
            save_campaigns(conn, [wanted])
            known = wanted
        else:
            with pytest.raises(CatalogueError, match="the budget cannot become"):
                save_campaigns(conn, [wanted])
        assert left(conn, known.campaign_id) == known.budget_micros - spent
        spend(conn, known.campaign_id, views)
        spent = min(known.budget_micros, spent + 1000 * views)
        assert left(conn, known.campaign_id) == known.budget_micros - spent
    assert load_catalogue(conn).campaigns[known.campaign_id] == known
    assert verify_ledger(conn) == []


def test_a_refused_budget_says_what_is_spent_and_saves_nothing(conn: Connection) -> None:
    poor, fresh = campaign(budget_micros=5_000_000, rate_micros=1000), campaign()
    save_campaigns(conn, [poor])
    spend(conn, poor.campaign_id, 3)
    with pytest.raises(CatalogueError, match=r"0\.001000 EUR, because 0\.003000 EUR is spent"):
        save_campaigns(conn, [fresh, change(poor, budget_micros=1000)])
    assert fresh.campaign_id not in load_catalogue(conn).campaigns
    assert load_catalogue(conn).campaigns[poor.campaign_id] == poor


def test_a_currency_stays_once_money_moved(conn: Connection) -> None:
    funded, empty, capped = campaign(), campaign(budget_micros=0), campaign(budget_micros=0)
    save_campaigns(conn, [funded, empty, capped])
    spend(conn, capped.campaign_id, 1)
    for each in (funded, capped):
        with pytest.raises(CatalogueError, match="its currency is EUR and cannot become USD"):
            save_campaigns(conn, [change(each, currency="USD")])
    (changed,) = save_campaigns(conn, [change(empty, currency="USD")]).details
    assert "currency EUR → USD" in changed
    assert verify_ledger(conn) == []


def test_imports_files_all_or_none(conn: Connection, tmp_path: Path) -> None:
    header = "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status"
    ids = [name() for _ in range(3)]
    lines = [f"{each},EUR,5,1000,2026-01-01,2026-02-01,active" for each in ids]
    file = tmp_path / "campaigns.csv"
    file.write_text("\n".join([header, *lines[:2], lines[2].replace("EUR", "E")]))
    with pytest.raises(CatalogueError, match=r"line 4: currency is 'E'"):
        import_campaigns(conn, file)
    assert not load_catalogue(conn).campaigns.keys() & set(ids)
    file.write_text("\n".join([header, *lines]))
    assert import_campaigns(conn, file) == 3
    assert load_catalogue(conn).campaigns.keys() >= set(ids)

    promoter = name("p")
    file.write_text(f'{{"promoter_id": "{promoter}", "status": "active"}}')
    assert import_promoters(conn, file) == 1
    assert promoter in load_catalogue(conn).promoters
