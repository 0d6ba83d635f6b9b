-- migrate:up

-- Settlement: what has passed its hold -------------------------------------------------------

CREATE TABLE settled_accruals (
    settled_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    accrual_id bigint NOT NULL UNIQUE REFERENCES accruals (accrual_id),
    net_micros bigint NOT NULL CHECK (net_micros >= 0),
    journal_id bigint REFERENCES journals,
    settled_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((journal_id IS NULL) = (net_micros = 0))
);
CREATE INDEX ON settled_accruals (journal_id);
COMMENT ON TABLE settled_accruals IS 'accruals that went from pending to payable, each once';
COMMENT ON COLUMN settled_accruals.net_micros IS 'after the fee and the corrections until then';

-- Corrections: views that turned out not to be valid ------------------------------------------

CREATE TABLE corrections (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    accrual_id bigint NOT NULL REFERENCES accruals (accrual_id),
    views bigint NOT NULL CHECK (views > 0),
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    fee_micros bigint NOT NULL CHECK (fee_micros >= 0),
    reason text NOT NULL CHECK (reason <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    idempotency_key text NOT NULL UNIQUE,
    reversal_id bigint NOT NULL REFERENCES journals,
    rebooked_id bigint REFERENCES journals,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON corrections (accrual_id);
COMMENT ON TABLE corrections IS 'views of an accrual that are taken back: its journal is reversed, and booked anew without them';
COMMENT ON COLUMN corrections.rebooked_id IS 'null where nothing is left to book';

CREATE FUNCTION check_correction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    accrual record;
BEGIN
    SELECT views, rate_micros, fee_bp INTO accrual FROM accruals
        WHERE accrual_id = NEW.accrual_id;
    IF (SELECT sum(views) FROM corrections WHERE accrual_id = NEW.accrual_id) > accrual.views
        OR NEW.amount_micros <> NEW.views * accrual.rate_micros THEN
        RAISE EXCEPTION 'accrual % has % paid views at % micros: no more can be taken back',
            NEW.accrual_id, accrual.views, accrual.rate_micros
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_correction AFTER INSERT ON corrections
    FOR EACH ROW EXECUTE FUNCTION check_correction();

-- Batches ------------------------------------------------------------------------------------

CREATE TABLE payout_batches (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    until timestamptz NOT NULL,
    min_micros bigint NOT NULL CHECK (min_micros >= 0),
    status text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'approved', 'exported', 'closed', 'cancelled')),
    drafted_by text NOT NULL CHECK (drafted_by <> ''),
    drafted_at timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    approved_at timestamptz,
    chain_head bytea,
    format text,
    execution_date date,
    exported_by text,
    exported_at timestamptz,
    CONSTRAINT four_eyes CHECK (lower(trim(approved_by)) <> lower(trim(drafted_by))),
    CHECK ((status IN ('draft', 'cancelled')) OR approved_by IS NOT NULL),
    CHECK ((status IN ('exported', 'closed')) = (exported_at IS NOT NULL))
);
COMMENT ON COLUMN payout_batches.until IS 'what became payable later is not in it';
COMMENT ON COLUMN payout_batches.chain_head IS 'newest hash of the chain when it was approved';

CREATE TABLE payout_lines (
    line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES payout_batches,
    promoter_id text NOT NULL REFERENCES promoters,
    gross_micros bigint NOT NULL CHECK (gross_micros > 0),
    withheld_micros bigint NOT NULL DEFAULT 0 CHECK (withheld_micros >= 0),
    amount_micros bigint NOT NULL CHECK (amount_micros = gross_micros - withheld_micros),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    netted_micros bigint NOT NULL DEFAULT 0 CHECK (netted_micros >= 0),
    status text NOT NULL DEFAULT 'drafted' CHECK (status IN (
        'drafted', 'approved', 'exported', 'settled', 'failed', 'returned', 'cancelled')),
    payee_version bigint NOT NULL,
    payout_journal_id bigint NOT NULL UNIQUE REFERENCES journals,
    code text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    UNIQUE (batch_id, promoter_id)
);
CREATE INDEX ON payout_lines (promoter_id);
COMMENT ON COLUMN payout_lines.gross_micros IS 'taken from promoter_payable, in whole minor units';
COMMENT ON COLUMN payout_lines.amount_minor IS 'what is transferred, in minor units of the currency';
COMMENT ON COLUMN payout_lines.netted_micros IS 'of what was payable, kept back for corrections of what had been paid';
COMMENT ON COLUMN payout_lines.payee_version IS 'the bank details that were checked: others are not paid';

CREATE TABLE payout_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES payout_batches,
    line_id bigint REFERENCES payout_lines,
    was text,
    became text NOT NULL,
    actor text NOT NULL,
    code text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON payout_events (batch_id, line_id);
COMMENT ON TABLE payout_events IS 'every change of status, written by triggers only; line_id is null where it is the batch that changed';

CREATE FUNCTION check_batch_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.batch_id, OLD.idempotency_key, OLD.currency, OLD.until, OLD.min_micros,
        OLD.drafted_by, OLD.drafted_at)
        IS DISTINCT FROM (NEW.batch_id, NEW.idempotency_key, NEW.currency, NEW.until,
        NEW.min_micros, NEW.drafted_by, NEW.drafted_at)
        OR (OLD.approved_by IS NOT NULL AND (OLD.approved_by, OLD.approved_at, OLD.chain_head)
            IS DISTINCT FROM (NEW.approved_by, NEW.approved_at, NEW.chain_head))
        OR (OLD.exported_at IS NOT NULL
            AND (OLD.format, OLD.execution_date, OLD.exported_by, OLD.exported_at)
            IS DISTINCT FROM (NEW.format, NEW.execution_date, NEW.exported_by, NEW.exported_at))
    THEN
        RAISE EXCEPTION 'payout batch %: what it is and who signed it does not change',
            OLD.batch_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.status || '>' || NEW.status NOT IN ('draft>approved', 'draft>cancelled',
        'approved>exported', 'approved>cancelled', 'exported>closed') THEN
        RAISE EXCEPTION 'payout batch % is % and cannot become %',
            OLD.batch_id, OLD.status, NEW.status USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_change BEFORE UPDATE ON payout_batches
    FOR EACH ROW EXECUTE FUNCTION check_batch_change();

CREATE FUNCTION check_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.line_id, OLD.batch_id, OLD.promoter_id, OLD.gross_micros, OLD.withheld_micros,
        OLD.amount_micros, OLD.amount_minor, OLD.netted_micros, OLD.payout_journal_id)
        IS DISTINCT FROM (NEW.line_id, NEW.batch_id, NEW.promoter_id, NEW.gross_micros,
        NEW.withheld_micros, NEW.amount_micros, NEW.amount_minor, NEW.netted_micros,
        NEW.payout_journal_id)
        OR (OLD.status <> 'drafted' AND OLD.payee_version <> NEW.payee_version) THEN
        RAISE EXCEPTION 'payout line %: amounts and payee are frozen', OLD.line_id
            USING ERRCODE = 'integrity_constraint_violation',
                  HINT = 'cancel the line and draft again';
    END IF;
    IF OLD.status || '>' || NEW.status NOT IN ('drafted>approved', 'drafted>cancelled',
        'approved>exported', 'approved>cancelled', 'exported>settled', 'exported>failed',
        'exported>returned', 'settled>returned') THEN
        RAISE EXCEPTION 'payout line % is % and cannot become %',
            OLD.line_id, OLD.status, NEW.status USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_change BEFORE UPDATE ON payout_lines
    FOR EACH ROW EXECUTE FUNCTION check_line_change();

-- The actor comes from the setting viewledger.actor, which every command sets.
CREATE FUNCTION note_batches() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO payout_events (batch_id, was, became, actor)
        VALUES (NEW.batch_id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status,
            current_setting('viewledger.actor'));
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON payout_batches
    FOR EACH ROW EXECUTE FUNCTION note_batches();

CREATE FUNCTION note_new_lines() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO payout_events (batch_id, line_id, became, actor)
        SELECT batch_id, line_id, status, current_setting('viewledger.actor') FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER note_new AFTER INSERT ON payout_lines REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION note_new_lines();

CREATE FUNCTION note_lines() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO payout_events (batch_id, line_id, was, became, actor, code, reason)
        SELECT now.batch_id, line_id, before.status, now.status,
            current_setting('viewledger.actor'), now.code, now.reason
        FROM after AS now JOIN before USING (line_id) ORDER BY line_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON payout_lines
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note_lines();

-- Files --------------------------------------------------------------------------------------

CREATE TABLE payout_files (
    file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES payout_batches,
    part integer NOT NULL CHECK (part > 0),
    name text NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (batch_id, part)
);
COMMENT ON TABLE payout_files IS 'what was exported, sealed as bank details are: exporting again gives these bytes';

CREATE TABLE bank_files (
    bank_file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256 text NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    kind text NOT NULL,
    name text NOT NULL,
    imported_by text NOT NULL CHECK (imported_by <> ''),
    imported_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bank_answers (
    answer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bank_file_id bigint NOT NULL REFERENCES bank_files,
    reference text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('settled', 'failed', 'returned', 'pending')),
    code text NOT NULL,
    reason text NOT NULL,
    amount_minor bigint,
    currency text,
    line_id bigint REFERENCES payout_lines,
    applied boolean NOT NULL,
    note text NOT NULL DEFAULT ''
);
CREATE INDEX ON bank_answers (bank_file_id);
CREATE INDEX ON bank_answers (line_id);
COMMENT ON COLUMN bank_answers.applied IS 'false: nothing was done, and the note says why; a person has to look';

-- What was written stays ---------------------------------------------------------------------

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settled_accruals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON corrections
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payout_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER by_trigger_only BEFORE INSERT ON payout_events
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payout_files
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_files
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_answers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON payout_batches
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON payout_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO chained_tables VALUES
    ('accruals', 'accrual_id', 'accrual_id'),
    ('settled_accruals', 'settled_id', 'settled_id'),
    ('corrections', 'correction_id', 'correction_id'),
    ('payout_events', 'event_id', 'event_id'),
    ('payout_files', 'file_id', 'file_id'),
    ('bank_files', 'bank_file_id', 'bank_file_id'),
    ('bank_answers', 'answer_id', 'answer_id');

GRANT SELECT, INSERT ON settled_accruals, corrections, payout_files, bank_files, bank_answers
    TO viewledger_app;
GRANT SELECT, INSERT, UPDATE ON payout_batches, payout_lines TO viewledger_app;
GRANT SELECT ON payout_events TO viewledger_app;
GRANT SELECT ON settled_accruals, corrections, payout_batches, payout_lines, payout_events,
    bank_files, bank_answers TO viewledger_read;

-- migrate:down

ALTER TABLE chain_links DISABLE TRIGGER append_only;
DELETE FROM chain_links;
ALTER TABLE chain_links ENABLE TRIGGER append_only;
DELETE FROM chained_tables WHERE name NOT IN ('accounts', 'journals', 'entries');
DROP TABLE bank_answers, bank_files, payout_files, payout_events, payout_lines, payout_batches,
    corrections, settled_accruals;
DROP FUNCTION check_correction, check_batch_change, check_line_change, note_batches,
    note_new_lines, note_lines;
