-- migrate:up

-- How far views were judged again -------------------------------------------------------------

CREATE TABLE judged_again (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    until timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE judged_again IS 'views with a log_time before this were judged again; moved in the transaction that corrects them';

CREATE FUNCTION refuse_judging_twice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'judged_again goes back: views would be judged a third time'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER never_back BEFORE UPDATE ON judged_again FOR EACH ROW
    WHEN (NEW.until < OLD.until) EXECUTE FUNCTION refuse_judging_twice();

-- Corrections of views ------------------------------------------------------------------------

CREATE SEQUENCE view_correction_bookings;
COMMENT ON SEQUENCE view_correction_bookings IS 'scored_from of accruals of partition -1: views that are booked by a correction';

CREATE TABLE view_corrections (
    view_correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition integer NOT NULL CHECK (partition >= 0),
    raw_offset bigint NOT NULL CHECK (raw_offset >= 0),
    scored_offset bigint NOT NULL CHECK (scored_offset >= 0),
    event_id text NOT NULL,
    log_time timestamptz NOT NULL,
    campaign_id text NOT NULL,
    promoter_id text NOT NULL,
    currency text NOT NULL,
    rate_micros bigint NOT NULL CHECK (rate_micros > 0),
    was text NOT NULL CHECK (was IN ('valid', 'unqualified', 'invalid', 'held')),
    was_reasons bigint NOT NULL,
    became text NOT NULL CHECK (became IN ('valid', 'unqualified', 'invalid')),
    became_reasons bigint NOT NULL,
    why text NOT NULL CHECK (why IN ('hindsight', 'review')),
    paid_micros bigint NOT NULL,
    capped_micros bigint NOT NULL,
    accrual_id bigint REFERENCES accruals (accrual_id),
    correction_id bigint REFERENCES corrections,
    model_version text NOT NULL,
    policy_version text NOT NULL,
    lists_version text NOT NULL,
    rules_version text NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    note text NOT NULL,
    corrected_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT corrected_once UNIQUE (partition, raw_offset, why),
    CHECK (was <> became),
    CHECK ((accrual_id IS NULL) = (was <> 'valid' AND became <> 'valid')),
    CHECK ((correction_id IS NOT NULL) = (paid_micros < 0)),
    CONSTRAINT money_of_a_view CHECK (CASE
        WHEN became = 'valid' THEN least(paid_micros, capped_micros) = 0
            AND paid_micros + capped_micros = rate_micros
        WHEN was = 'valid' THEN greatest(paid_micros, capped_micros) = 0
            AND paid_micros + capped_micros IN (-rate_micros, 0)
        ELSE paid_micros = 0 AND capped_micros = 0 END)
);
CREATE INDEX ON view_corrections (accrual_id);
CREATE INDEX ON view_corrections (correction_id);
COMMENT ON TABLE view_corrections IS 'views that settlement or a review judged otherwise: at most once by each';
COMMENT ON COLUMN view_corrections.paid_micros IS 'what the campaign pays more; below zero: gets back';
COMMENT ON COLUMN view_corrections.capped_micros IS 'what is more, or less, beyond the budget; both 0 where the view had been taken back by number';
COMMENT ON COLUMN view_corrections.accrual_id IS 'the accrual that counts it, or counted it';
COMMENT ON COLUMN view_corrections.correction_id IS 'by which its money was taken back';

CREATE FUNCTION check_view_correction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    earlier record;
BEGIN
    SELECT became, why INTO earlier FROM view_corrections
        WHERE partition = NEW.partition AND raw_offset = NEW.raw_offset
            AND view_correction_id < NEW.view_correction_id
        ORDER BY view_correction_id DESC LIMIT 1;
    IF FOUND AND (NEW.why <> 'review' OR NEW.was <> earlier.became) THEN
        RAISE EXCEPTION 'view % of partition % was corrected (%), and is % by now',
            NEW.raw_offset, NEW.partition, earlier.why, earlier.became
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_view_correction AFTER INSERT ON view_corrections
    FOR EACH ROW EXECUTE FUNCTION check_view_correction();

-- What was written stays ----------------------------------------------------------------------

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON view_corrections
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON judged_again
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO chained_tables VALUES
    ('view_corrections', 'view_correction_id', 'view_correction_id');

GRANT SELECT, INSERT ON view_corrections TO viewledger_app;
GRANT SELECT, INSERT, UPDATE ON judged_again TO viewledger_app;
GRANT USAGE ON SEQUENCE view_correction_bookings TO viewledger_app;
GRANT SELECT ON view_corrections, judged_again TO viewledger_read;

-- migrate:down

ALTER TABLE chain_links DISABLE TRIGGER append_only;
DELETE FROM chain_links;
ALTER TABLE chain_links ENABLE TRIGGER append_only;
DELETE FROM chained_tables WHERE name = 'view_corrections';
DROP TABLE view_corrections, judged_again;
DROP SEQUENCE view_correction_bookings;
DROP FUNCTION check_view_correction, refuse_judging_twice;
