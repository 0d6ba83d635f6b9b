"""Payers, transfers and batches for the tests of bank files; Hypothesis draws from the same."""

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from schemas.payout import Ach, Address, BankDetails, BatchFile, Iban, Payer, Paypal, Transfer

BERLIN = Iban("DE89370400440532013000", "COBADEFFXXX")
PARIS = Iban("FR1420041010050500013M02606")
KUWAIT = Iban("KW81CBKU0000000000001234560101", "CBKUKWKW")
DUBAI = Iban("AE070331234567890123456", "BOMLAEAD")
CHECKING = Ach("091000019", "0072-15", "checking", "business")
SAVINGS = Ach("011401533", "123456789", "savings", "person")
EMAIL = Paypal("zoe@example.com")

EUROPE = Payer(
    name="Viewledger GmbH",
    address=Address(town="Berlin", country="DE", street="Torstraße", building="1"),
    details=BERLIN,
)
AMERICA = Payer(
    name="Viewledger Inc",
    address=Address(town="Austin", country="US"),
    details=Ach("021000021", "99887766", "checking", "business"),
    company_id="1234567890",
    bank_name="First Bank of Tests",
)


def transfer(line_id: int = 1, details: BankDetails = PARIS, **fields: object) -> Transfer:
    """A transfer that every format for its kind of account takes."""
    values: dict[str, object] = {
        "promoter_id": f"promoter-{line_id}",
        "name": "Zoë Łuczak",
        "address": Address(
            town="Lyon", country="FR", street="Rue de la Paix", building="2 bis", postcode="69001"
        ),
        "amount_minor": 12_345,
        "currency": "USD" if isinstance(details, Ach) else "EUR",
        "remittance": "Views of October",
    }
    return Transfer(
        line_id=line_id,
        end_to_end_id=f"VL{line_id}",
        details=details,
        **(values | fields),  # type: ignore[arg-type]
    )


def batch(*transfers: Transfer, payer: Payer = EUROPE, batch_id: int = 7) -> BatchFile:
    return BatchFile(
        batch_id=batch_id,
        created_at_ms=int(datetime(2026, 11, 23, 23, 59, 58, tzinfo=UTC).timestamp() * 1000),
        execution_date=date(2026, 11, 25),
        payer=payer,
        transfers=list(transfers),
    )


def payer_for(transfers: list[Transfer]) -> Payer:
    return AMERICA if isinstance(transfers[0].details, Ach) else EUROPE


texts = st.one_of(
    st.text(max_size=200),
    st.sampled_from(
        ["=cmd|'/c calc'!A0", "<!ENTITY x>&x;]]>", "株式会社", "\x00\x1b\x7f", " ", ""]
    ),
)
addresses = st.builds(
    Address,
    town=st.just("Lyon") | texts,
    country=st.just("FR") | texts,
    street=texts,
    building=texts,
    postcode=texts,
    region=texts,
)


@st.composite
def transfer_lists(draw: st.DrawFn, details: list[BankDetails]) -> list[Transfer]:
    """1 to 12 transfers with people's texts, not all of which a format can carry."""
    lines = draw(st.lists(st.integers(1, 10**12), min_size=1, max_size=12, unique=True))
    return [
        transfer(
            line,
            draw(st.sampled_from(details)),
            name=draw(texts),
            address=draw(addresses),
            remittance=draw(texts),
            amount_minor=draw(st.integers(1, 10**12) | st.integers(1, 10**6)),
            currency=draw(st.sampled_from(["EUR", "USD", "JPY", "KWD"])),
        )
        for line in lines
    ]
