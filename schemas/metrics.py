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
MODELS = Gauge("viewledger_models", "1 for each model in use", ["version", "role"])
MODELS_MISSING = Gauge("viewledger_models_missing", "Chosen models that cannot be loaded here")
DRIFT_PSI = Gauge(
    "viewledger_drift_psi", "Population stability index against training", ["feature"]
)
VELOCITY_DOWN = Gauge("viewledger_velocity_down", "1 while Redis is not asked for velocity")
REQUESTS = Counter("viewledger_requests", "Requests to the collector", ["status", "reason"])
COLLECTED = Counter("viewledger_collected", "Events that Kafka acknowledged to the collector")
TURNED_AWAY = Counter("viewledger_turned_away", "Events rejected at the door", ["reason"])
COLLECTOR_BYTES = Gauge("viewledger_collector_bytes", "Of requests under way")
COLLECTOR_KAFKA_DOWN = Gauge("viewledger_collector_kafka_down", "1 while Kafka does not answer")
ACK_SECONDS = Histogram(
    "viewledger_ack_seconds",
    "From a request's arrival to the acknowledgement of all of its events",
    buckets=[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
)
KEYRING_AGE = Gauge("viewledger_keyring_age_seconds", "Since API keys were as in Postgres")
QUOTA_LOCAL = Gauge("viewledger_quota_local", "1 while quotas are counted without Redis")
LIST_ENTRIES = Gauge("viewledger_list_entries", "Entries in the lists in use", ["list", "version"])
LIST_AGE = Gauge("viewledger_list_age_seconds", "Since the file of a list was changed", ["list"])
LIST_BROKEN = Gauge(
    "viewledger_list_broken", "1 while a list cannot be read, and what was in it is used", ["list"]
)
REASONS = Counter(
    "viewledger_reasons", "Accepted views by what speaks against them", ["reason", "kind"]
)
SALT_MISSING = Gauge(
    "viewledger_address_salt_missing", "1 while there is no salt, so that addresses are dropped"
)
