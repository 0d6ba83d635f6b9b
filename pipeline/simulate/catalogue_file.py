"""The catalogue as the files that `campaigns import` and `promoters import` read."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from schemas.catalogue import Campaign, Promoter


def promoters_path(campaigns: Path) -> Path:
    """Where the promoters go: `catalogue.jsonl` → `catalogue.promoters.jsonl` beside it."""
    packed = ".gz" if campaigns.suffix == ".gz" else ""
    plain = campaigns.with_suffix("") if packed else campaigns
    return plain.with_name(f"{plain.stem}.promoters{plain.suffix}{packed}")


def encode_rows(rows: Sequence[Campaign] | Sequence[Promoter], path: Path) -> bytes:
    """CSV with a header if `path` ends in `.csv` or `.csv.gz`, else JSON lines."""
    plain = [msgspec.to_builtins(row) for row in rows]
    if path.name.removesuffix(".gz").endswith(".csv"):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(plain[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue().encode()
    return b"".join(msgspec.json.encode(row) + b"\n" for row in plain)
