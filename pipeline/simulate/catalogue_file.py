"""The catalogue as one file that `campaigns import` and `promoters import` both read."""

import csv
import io

import msgspec

from pipeline.simulate.catalogue import Catalogue
from schemas.catalogue import Campaign


def encode_catalogue(catalogue: Catalogue, as_csv: bool = False) -> bytes:
    """JSON lines, each a campaign or a promoter; as CSV with the columns of both."""
    rows = [msgspec.to_builtins(row) for row in (*catalogue.campaigns, *catalogue.promoters)]
    if not as_csv:
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*Campaign.__struct_fields__, "promoter_id"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
