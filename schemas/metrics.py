"""Every Prometheus metric of viewledger, declared once."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("viewledger_events", "Events read from views.raw", ["partition"])
ACCEPTED = Counter("viewledger_accepted", "Views written to views.scored", ["verdict"])
REFUSED = Counter("viewledger_refused", "Events that were not accepted", ["refusal"])
BLOCKS = Counter(
    "viewledger_blocks", "Messages of views.scored, by what became of them", ["outcome"]
)
CLAIMS = Counter("viewledger_claims", "Times a partition was claimed", ["partition"])
ROWS_STORED = Counter("viewledger_rows_stored", "Rows inserted into ClickHouse", ["table"])
VIEWS_BOOKED = Counter("viewledger_views_booked", "Views booked in the ledger", ["kind"])
LAG_EVENTS = Gauge("viewledger_lag_events", "Messages between here and the end", ["partition"])
LAG_SECONDS = Gauge("viewledger_lag_seconds", "Age of the newest message done, while behind")
PROGRESS_AGE = Gauge("viewledger_progress_age_seconds", "Since progress, while there is work")
BLOCK_ROWS = Histogram(
    "viewledger_block_rows", "Events per block", buckets=[1, 10, 100, 1000, 4000, 8192, 65536]
)
STEP_SECONDS = Histogram(
    "viewledger_step_seconds",
    "Time of one step on one block",
    ["step"],
    buckets=[0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
)
VELOCITY_DOWN = Gauge("viewledger_velocity_down", "1 while Redis is not asked for velocity")
