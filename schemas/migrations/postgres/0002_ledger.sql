-- migrate:up

-- Accounts -----------------------------------------------------------------------------------

CREATE TABLE accounts (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('campaign_funding', 'campaign_budget', 'promoter_pending')),
    owner_id text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Only what stands for the world outside may owe: its balance is minus what came in.
    may_go_negative boolean NOT NULL GENERATED ALWAYS AS (kind = 'campaign_funding') STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, owner_id, currency)
);
COMMENT ON COLUMN accounts.owner_id IS 'campaign_id of campaign_*, promoter_id of promoter_*';

CREATE TABLE balances (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    may_go_negative boolean NOT NULL,
    balance_micros bigint NOT NULL DEFAULT 0,
    CONSTRAINT not_overdrawn CHECK (may_go_negative OR balance_micros >= 0)
) WITH (fillfactor = 50); -- rewritten with every booking: room for HOT updates
COMMENT ON TABLE balances IS 'sum of the entries of each account; written by triggers only';

CREATE FUNCTION open_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO balances (account_id, may_go_negative)
        SELECT account_id, may_go_negative FROM opened;
    RETURN NULL;
END $$;
CREATE TRIGGER open_balance AFTER INSERT ON accounts REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION open_balance();

-- Journals and their entries -----------------------------------------------------------------

CREATE TABLE journals (
    journal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('funding', 'accrual')),
    idempotency_key text NOT NULL UNIQUE,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    description text NOT NULL,
    created_by text NOT NULL,
    created_xact xid8 NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN journals.fingerprint IS 'SHA-256 of the request: the same key with another one is an error';

CREATE TABLE entries (
    journal_id bigint NOT NULL REFERENCES journals,
    account_id bigint NOT NULL REFERENCES accounts,
    amount_micros bigint NOT NULL CHECK (amount_micros <> 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (journal_id, account_id)
);
CREATE INDEX ON entries (account_id, created_at);
COMMENT ON COLUMN entries.amount_micros IS 'positive into the account, negative out of it';

-- The entries that one statement adds must sum to zero per journal and currency. Checked there
-- and not at commit, in one pass over all of them: what sums to zero after every statement sums
-- to zero for ever, and no SET CONSTRAINTS gets around it.
CREATE FUNCTION post_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT added.journal_id INTO wrong
        FROM added JOIN journals USING (journal_id)
        WHERE journals.created_xact <> pg_current_xact_id() LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % is closed: entries are added in the transaction that makes it',
            wrong.journal_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;

    SELECT journal_id, currency, sum(amount_micros) AS total INTO wrong
        FROM added JOIN accounts USING (account_id)
        GROUP BY journal_id, currency HAVING sum(amount_micros) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entries of journal % sum to % micros % and not to zero',
            wrong.journal_id, wrong.total, wrong.currency
            USING ERRCODE = 'integrity_constraint_violation',
                  HINT = 'add all entries of a journal in one statement';
    END IF;

    -- Always in the same order, so that two statements wait for each other and never deadlock.
    PERFORM FROM balances WHERE account_id IN (SELECT account_id FROM added)
        ORDER BY account_id FOR UPDATE;
    UPDATE balances SET balance_micros = balance_micros + moved.amount
        FROM (SELECT account_id, sum(amount_micros)::bigint AS amount
              FROM added GROUP BY account_id) AS moved
        WHERE balances.account_id = moved.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER post_entries AFTER INSERT ON entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION post_entries();

-- Nobody says himself when and by whom a journal was made.
CREATE FUNCTION stamp_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_xact := pg_current_xact_id();
    NEW.created_at := now();
    NEW.created_by := session_user;
    RETURN NEW;
END $$;
CREATE TRIGGER stamp_journal BEFORE INSERT ON journals
    FOR EACH ROW EXECUTE FUNCTION stamp_journal();

-- Amounts are not zero and sum to zero: whoever has an entry has two.
CREATE FUNCTION refuse_empty_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM entries WHERE journal_id = NEW.journal_id) THEN
        RAISE EXCEPTION 'journal % has no entries', NEW.journal_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse_empty_journal AFTER INSERT ON journals
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_empty_journal();

-- What `book` made of views.scored -----------------------------------------------------------

CREATE TABLE accruals (
    partition integer NOT NULL,
    scored_from bigint NOT NULL,
    scored_next bigint NOT NULL,
    campaign_id text NOT NULL,
    promoter_id text NOT NULL,
    currency text NOT NULL,
    rate_micros bigint NOT NULL CHECK (rate_micros > 0),
    log_hour timestamptz NOT NULL,
    views bigint NOT NULL CHECK (views >= 0),
    amount_micros bigint NOT NULL CHECK (amount_micros = views * rate_micros),
    capped_views bigint NOT NULL CHECK (capped_views >= 0),
    capped_micros bigint NOT NULL CHECK (capped_micros = capped_views * rate_micros),
    journal_id bigint REFERENCES journals,
    booked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, scored_from, campaign_id, promoter_id, currency, rate_micros, log_hour),
    CHECK (scored_from < scored_next),
    CHECK (views + capped_views > 0),
    CHECK ((journal_id IS NULL) = (views = 0))
);
CREATE INDEX ON accruals (campaign_id, promoter_id);
CREATE INDEX ON accruals (log_hour);
CREATE INDEX ON accruals (journal_id);
COMMENT ON TABLE accruals IS 'valid views by booking: a booking is the range [scored_from, scored_next) of one partition of views.scored. For any campaign, promoter and hour: sum(views + capped_views) = valid views in ClickHouse, sum(amount_micros + capped_micros) = valid views x their rate';
COMMENT ON COLUMN accruals.log_hour IS 'UTC hour of the log_time of the views';
COMMENT ON COLUMN accruals.views IS 'valid views that were paid: amount_micros went from campaign_budget to promoter_pending';
COMMENT ON COLUMN accruals.capped_views IS 'valid views that the budget did not cover: not paid';
COMMENT ON COLUMN accruals.journal_id IS 'the journal that moved amount_micros; null where everything was capped';

CREATE TABLE book_progress (
    partition integer PRIMARY KEY CHECK (partition >= 0),
    epoch bigint NOT NULL DEFAULT 0,
    writer text NOT NULL DEFAULT '',
    next_raw bigint NOT NULL DEFAULT 0,
    next_scored bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE book_progress IS 'how far `book` is in each partition of views.scored, moved in the transaction that books';

-- What was written stays ---------------------------------------------------------------------

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: the ledger is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation',
              HINT = 'correct a journal with another journal';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accruals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON book_progress
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON balances
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Depth 0: not written by a trigger, so by somebody without an entry.
CREATE TRIGGER by_trigger_only BEFORE INSERT OR UPDATE ON balances
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_rewind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'book_progress of partition % goes back: what is booked would be booked again',
        OLD.partition USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER never_back BEFORE UPDATE ON book_progress FOR EACH ROW
    WHEN (NEW.partition <> OLD.partition OR NEW.epoch < OLD.epoch
          OR NEW.next_raw < OLD.next_raw OR NEW.next_scored < OLD.next_scored)
    EXECUTE FUNCTION refuse_rewind();

-- migrate:down

DROP TABLE book_progress, accruals, entries, journals, balances, accounts;
DROP FUNCTION open_balance, post_entries, stamp_journal, refuse_empty_journal, refuse_change,
    refuse_rewind;
