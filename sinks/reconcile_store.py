"""Whether the tables in ClickHouse agree with each other: every check is one query.

A query returns the rows that disagree, and nothing else: `where` (text), `expected`, `found`.
"""

import msgspec

from sinks.clickhouse import Client

LIMIT = 100
"""Most differences that one check reports."""


class Difference(msgspec.Struct, frozen=True):
    """Two places that should say the same."""

    check: str
    where: str
    expected: str
    found: str


_KEY = "campaign_id, promoter_id, hour, platform, verdict, currency, partition"


def _rows_of_blocks(table: str, label: str, total: str, by_label: str) -> str:
    """The rows of a table that came in each block, by label and inside of its range."""
    return f"""
        SELECT format('partition {{}}, scored offset {{}}', partition, scored_offset) AS where,
            format('{{}} rows {{}} in [{{}}, {{}})', total, by_label, raw_from, raw_next)
                AS expected,
            format('{{}} rows {{}} in [{{}}, {{}}]', rows, labels, first, last) AS found
        FROM
        (
            SELECT partition, scored_offset, raw_from, raw_next, {total} AS total,
                mapSort(CAST({by_label}, 'Map(String, UInt64)')) AS by_label
            FROM blocks
        ) AS said
        FULL JOIN
        (
            SELECT partition, scored_offset, sum(n) AS rows, min(lowest) AS first,
                max(highest) AS last, mapSort(sumMap(map(label, n))) AS labels
            FROM
            (
                SELECT partition, scored_offset, {label}::String AS label, count() AS n,
                    min(raw_offset) AS lowest, max(raw_offset) AS highest
                FROM {table} GROUP BY partition, scored_offset, label
            )
            GROUP BY partition, scored_offset
        ) AS there USING (partition, scored_offset)
        WHERE total != rows OR by_label != labels
            OR (rows > 0 AND (first < raw_from OR last >= raw_next))
    """  # noqa: S608 - names of ours


_CHECKS = {
    "blocks follow each other": """
        SELECT format('partition {}, scored offset {}', partition, scored_offset) AS where,
            format('raw offsets from {}', previous) AS expected,
            format('[{}, {})', raw_from, raw_next) AS found
        FROM
        (
            SELECT *, lagInFrame(raw_next, 1, 0) OVER (
                PARTITION BY partition ORDER BY scored_offset, raw_from
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS previous
            FROM blocks
        )
        WHERE raw_from != previous OR raw_next < raw_from
    """,
    "every raw offset of a block is accounted for": """
        SELECT format('partition {}, scored offset {}', partition, scored_offset) AS where,
            format('{} events in [{}, {})', raw_next - raw_from - holes, raw_from, raw_next)
                AS expected,
            format('{} accepted, {} duplicates, {} rejected', accepted, duplicates, rejected)
                AS found
        FROM blocks WHERE accepted + duplicates + rejected + holes != raw_next - raw_from
    """,
    "accepted rows of each block": _rows_of_blocks("views", "verdict", "accepted", "verdicts"),
    "refused rows of each block": _rows_of_blocks(
        "views_rejected", "reason", "duplicates + rejected", "refusals"
    ),
    "every raw offset once": """
        SELECT format('partition {}, raw offset {}', partition, raw_offset) AS where,
            'one row' AS expected, format('{} rows', count()) AS found
        FROM
        (
            SELECT partition, raw_offset FROM views
            UNION ALL SELECT partition, raw_offset FROM views_rejected
        )
        GROUP BY partition, raw_offset HAVING count() > 1
    """,
    "every event id once within the accept window": """
        SELECT format('event {} of partition {}', event_id, partition) AS where,
            'accepted once' AS expected,
            format('accepted at raw offsets {}', arraySort(groupArray(raw_offset))) AS found
        FROM views
        WHERE (partition, event_id) IN
            (SELECT partition, event_id FROM views GROUP BY partition, event_id HAVING count() > 1)
        GROUP BY partition, event_id
        HAVING arrayExists(gap -> gap <= {window_ms:Int64}, arrayPopFront(arrayDifference(
            arraySort(groupArray(toUnixTimestamp64Milli(log_time))))))
    """,
    "hourly sums": f"""
        SELECT format('{{}}, {{}}, {{}}, {{}}, {{}}, {{}}, partition {{}}', {_KEY}) AS where,
            format('{{}} views, {{}} ms, {{}} micros', sum(v), sum(w), sum(a)) AS expected,
            format('{{}} views, {{}} ms, {{}} micros', sum(hv), sum(hw), sum(ha)) AS found
        FROM
        (
            SELECT toStartOfHour(viewed_at) AS hour, campaign_id, promoter_id, platform, verdict,
                currency, partition, toInt64(count()) AS v, toInt64(sum(watch_ms)) AS w,
                sum(if(verdict = 'valid', rate_micros, 0)) AS a,
                toInt64(0) AS hv, toInt64(0) AS hw, toInt64(0) AS ha
            FROM views GROUP BY {_KEY}
            UNION ALL
            SELECT hour, campaign_id, promoter_id, platform, verdict, currency, partition,
                0, 0, 0, views, watch_ms, amount_micros
            FROM views_hourly
        )
        GROUP BY {_KEY} HAVING (sum(v), sum(w), sum(a)) != (sum(hv), sum(hw), sum(ha))
    """,  # noqa: S608
}


def check_store(client: Client, accept_window_ms: int) -> list[Difference]:
    """What the tables in ClickHouse disagree on; at most `LIMIT` per check.

    Args:
        accept_window_ms: within which an event id may be accepted only once.
    """
    return [
        Difference(check, *row)
        for check, query in _CHECKS.items()
        for row in client.query(
            f"{query} ORDER BY where LIMIT {LIMIT}",
            parameters={"window_ms": accept_window_ms},
            settings={"max_bytes_before_external_group_by": 2_000_000_000},
        ).result_rows
    ]
