-- migrate:up

-- Rights -------------------------------------------------------------------------------------
-- Whoever migrates owns the tables. The product works as viewledger_app, which can add to the
-- ledger and neither change nor delete what is there; analysts as viewledger_read. Roles belong
-- to the server, not to this database: they may be there already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['viewledger_app', 'viewledger_read'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        IF NOT pg_has_role(current_user, wanted, 'SET') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END $$;

-- More accounts ------------------------------------------------------------------------------

ALTER TABLE accounts DROP CONSTRAINT accounts_kind_check;
ALTER TABLE accounts ADD CONSTRAINT accounts_kind_check CHECK (kind IN (
    'campaign_funding', 'campaign_budget', 'platform_fee', 'promoter_pending', 'promoter_payable',
    'promoter_debt', 'payout_clearing', 'tax_withheld', 'bank'));
ALTER TABLE accounts ALTER COLUMN may_go_negative
    SET EXPRESSION AS (kind IN ('campaign_funding', 'promoter_debt'));
COMMENT ON COLUMN accounts.owner_id IS 'campaign_id of campaign_*, promoter_id of promoter_* and payout_clearing, else platform';
COMMENT ON COLUMN accounts.may_go_negative IS 'funding stands for the world outside: minus what came in; debt is what a promoter was paid too much';

-- Reversals ----------------------------------------------------------------------------------

ALTER TABLE journals DROP CONSTRAINT journals_kind_check;
ALTER TABLE journals ADD CONSTRAINT journals_kind_check CHECK (kind IN (
    'funding', 'accrual', 'settlement', 'correction', 'netting', 'payout', 'payout_settled',
    'reversal'));
ALTER TABLE journals ADD COLUMN reverses_id bigint UNIQUE REFERENCES journals;
ALTER TABLE journals ADD CONSTRAINT reversals_say_of_what
    CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL));
COMMENT ON COLUMN journals.reverses_id IS 'the journal whose entries this one takes back, all of them; at most one does';

-- Entries by month ---------------------------------------------------------------------------

ALTER TABLE entries RENAME TO entries_before;
ALTER INDEX entries_pkey RENAME TO entries_before_pkey;
ALTER INDEX entries_account_id_created_at_idx RENAME TO entries_before_account_id_created_at_idx;

CREATE TABLE entries (
    journal_id bigint NOT NULL REFERENCES journals,
    account_id bigint NOT NULL REFERENCES accounts,
    amount_micros bigint NOT NULL CHECK (amount_micros <> 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (journal_id, account_id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX ON entries (account_id, created_at);
COMMENT ON COLUMN entries.amount_micros IS 'positive into the account, negative out of it';
COMMENT ON COLUMN entries.created_at IS 'that of the journal, so an entry is once in all partitions';

CREATE FUNCTION make_entry_partitions(first timestamptz, months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_entry_partitions'));
    FOR i IN 0 .. months LOOP
        name := 'entries_' || to_char(month, 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF entries FOR VALUES FROM (%L) TO (%L)',
                name, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
            -- What names a partition does not fire the triggers of `entries`.
            EXECUTE format('CREATE TRIGGER through_entries_only
                BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
            made := made + 1;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION make_entry_partitions IS 'makes the missing monthly partitions of entries; returns how many';

SELECT make_entry_partitions(coalesce(min(created_at), now()) - interval '1 month',
    extract(year FROM age(now(), coalesce(min(created_at), now())))::integer * 12 + 26)
    FROM entries_before;
INSERT INTO entries (journal_id, account_id, amount_micros, created_at)
    SELECT journal_id, account_id, amount_micros, created_at FROM entries_before;
-- danger: its rows are in the partitions now
DROP TABLE entries_before;

CREATE OR REPLACE FUNCTION post_entries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wrong record;
BEGIN
    SELECT added.journal_id INTO wrong
        FROM added JOIN journals USING (journal_id)
        WHERE journals.created_xact <> pg_current_xact_id()
            OR journals.created_at <> added.created_at LIMIT 1;
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

    SELECT journals.journal_id, reverses_id INTO wrong
        FROM journals
        WHERE journal_id IN (SELECT journal_id FROM added) AND reverses_id IS NOT NULL
            AND EXISTS (
                SELECT FROM (SELECT account_id, amount_micros FROM added
                             WHERE added.journal_id = journals.journal_id) AS taken
                FULL JOIN (SELECT account_id, amount_micros FROM entries
                           WHERE entries.journal_id = reverses_id) AS posted USING (account_id)
                WHERE taken.amount_micros IS DISTINCT FROM -posted.amount_micros) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % does not take back journal % entry by entry',
            wrong.journal_id, wrong.reverses_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;

    -- Always in the same order, so that two statements wait for each other and never deadlock.
    PERFORM FROM balances WHERE account_id IN (SELECT account_id FROM added)
        ORDER BY account_id FOR UPDATE;
    UPDATE balances SET balance_micros = balance_micros + moved.amount
        FROM (SELECT account_id, sum(amount_micros)::bigint AS amount
              FROM added GROUP BY account_id) AS moved
        WHERE balances.account_id = moved.account_id AND moved.amount <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER post_entries AFTER INSERT ON entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION post_entries();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE OR REPLACE FUNCTION stamp_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_xact := pg_current_xact_id();
    NEW.created_at := now();
    NEW.created_by := session_user;
    IF NEW.reverses_id IS NOT NULL
        AND (SELECT kind FROM journals WHERE journal_id = NEW.reverses_id) = 'reversal' THEN
        RAISE EXCEPTION 'journal % is a reversal: post a new journal and do not reverse it',
            NEW.reverses_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION open_balance() SECURITY DEFINER SET search_path = public, pg_temp;

-- Hash chain ---------------------------------------------------------------------------------
-- A link covers the rows of one table with after_id < id <= to_id. Rows are append-only and the
-- heads are taken under a lock, so a range never gets another row.

CREATE TABLE chained_tables (
    name text PRIMARY KEY,
    id_column text NOT NULL,
    row_order text NOT NULL
);
COMMENT ON TABLE chained_tables IS 'what the hash chain covers; written by migrations only';
INSERT INTO chained_tables VALUES
    ('accounts', 'account_id', 'account_id'),
    ('journals', 'journal_id', 'journal_id'),
    ('entries', 'journal_id', 'journal_id, account_id');

CREATE TABLE chain_links (
    link_id bigint PRIMARY KEY CHECK (link_id > 0),
    table_name text NOT NULL REFERENCES chained_tables,
    columns text[] NOT NULL,
    after_id bigint NOT NULL,
    to_id bigint NOT NULL,
    row_digests bytea NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    sealed_at timestamptz NOT NULL,
    UNIQUE (table_name, after_id),
    CHECK (after_id < to_id)
);
COMMENT ON COLUMN chain_links.row_digests IS 'first eight bytes of the SHA-256 of each row, to find the one that was changed';
COMMENT ON COLUMN chain_links.hash IS 'SHA-256 over the hash of the link before, this link, and its rows; see sinks/chain.py';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON chain_links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION chain_heads() RETURNS TABLE (table_name text, head bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chained record;
BEGIN
    -- Whoever writes has drawn its ids and is waited for; whoever comes later gets higher ones.
    -- In the order in which they are written: else each would wait for the other.
    FOR chained IN SELECT * FROM chained_tables
        ORDER BY array_position(ARRAY['accounts', 'journals', 'entries'], name), name
    LOOP
        EXECUTE format('LOCK TABLE ONLY %I IN SHARE MODE', chained.name);
    END LOOP;
    FOR chained IN SELECT * FROM chained_tables ORDER BY name LOOP
        table_name := chained.name;
        EXECUTE format('SELECT coalesce(max(%I), 0) FROM %I', chained.id_column, chained.name)
            INTO head;
        RETURN NEXT;
    END LOOP;
END $$;

-- Grants -------------------------------------------------------------------------------------

GRANT SELECT, INSERT ON accounts, journals, entries, accruals, chain_links TO viewledger_app;
-- UPDATE on balances is for SELECT … FOR UPDATE: by_trigger_only refuses the rest.
GRANT SELECT, UPDATE ON balances TO viewledger_app;
GRANT SELECT, INSERT, UPDATE
    ON book_progress, campaigns, promoters, catalogue_version, replays, rejected_replays
    TO viewledger_app;
GRANT SELECT ON chained_tables, schema_migrations TO viewledger_app;
REVOKE EXECUTE ON FUNCTION make_entry_partitions, chain_heads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_entry_partitions, chain_heads TO viewledger_app;
GRANT SELECT ON accounts, balances, journals, entries, accruals, book_progress, campaigns,
    promoters, chained_tables, chain_links TO viewledger_read;

-- migrate:down

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM viewledger_app, viewledger_read;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM viewledger_app, viewledger_read;
ALTER FUNCTION open_balance() SECURITY INVOKER RESET search_path;

DROP TABLE chain_links, chained_tables;
DROP FUNCTION chain_heads;

CREATE OR REPLACE FUNCTION stamp_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_xact := pg_current_xact_id();
    NEW.created_at := now();
    NEW.created_by := session_user;
    RETURN NEW;
END $$;

CREATE TABLE entries_before (
    journal_id bigint NOT NULL REFERENCES journals,
    account_id bigint NOT NULL REFERENCES accounts,
    amount_micros bigint NOT NULL CHECK (amount_micros <> 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT entries_before_pkey PRIMARY KEY (journal_id, account_id)
);
INSERT INTO entries_before SELECT journal_id, account_id, amount_micros, created_at FROM entries;
DROP TABLE entries;
DROP FUNCTION make_entry_partitions;
ALTER TABLE entries_before RENAME TO entries;
ALTER INDEX entries_before_pkey RENAME TO entries_pkey;
CREATE INDEX ON entries (account_id, created_at);

CREATE OR REPLACE FUNCTION post_entries() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER AS $$
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

    PERFORM FROM balances WHERE account_id IN (SELECT account_id FROM added)
        ORDER BY account_id FOR UPDATE;
    UPDATE balances SET balance_micros = balance_micros + moved.amount
        FROM (SELECT account_id, sum(amount_micros)::bigint AS amount
              FROM added GROUP BY account_id) AS moved
        WHERE balances.account_id = moved.account_id;
    RETURN NULL;
END $$;
ALTER FUNCTION post_entries() RESET search_path;
CREATE TRIGGER post_entries AFTER INSERT ON entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION post_entries();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Refused where rows of the new kinds are there: they would have no meaning any more.
ALTER TABLE journals DROP CONSTRAINT reversals_say_of_what;
ALTER TABLE journals DROP COLUMN reverses_id;
ALTER TABLE journals DROP CONSTRAINT journals_kind_check;
ALTER TABLE journals ADD CONSTRAINT journals_kind_check CHECK (kind IN ('funding', 'accrual'));
ALTER TABLE accounts ALTER COLUMN may_go_negative SET EXPRESSION AS (kind = 'campaign_funding');
ALTER TABLE accounts DROP CONSTRAINT accounts_kind_check;
ALTER TABLE accounts ADD CONSTRAINT accounts_kind_check
    CHECK (kind IN ('campaign_funding', 'campaign_budget', 'promoter_pending'));
