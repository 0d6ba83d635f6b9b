-- migrate:up

-- Its name comes after that of view_corrections, as its rows do: the hash chain locks in this order.
CREATE TABLE view_reviews (
    review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition integer NOT NULL CHECK (partition >= 0),
    raw_offset bigint NOT NULL CHECK (raw_offset >= 0),
    event_id text NOT NULL,
    log_time timestamptz NOT NULL,
    campaign_id text NOT NULL,
    promoter_id text NOT NULL,
    currency text NOT NULL,
    rate_micros bigint NOT NULL CHECK (rate_micros > 0),
    was text NOT NULL CHECK (was IN ('valid', 'unqualified', 'invalid', 'held')),
    decided text NOT NULL CHECK (decided IN ('valid', 'invalid')),
    became text NOT NULL CHECK (became IN ('valid', 'unqualified', 'invalid')),
    view_correction_id bigint UNIQUE REFERENCES view_corrections,
    actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 64 AND actor = btrim(actor)),
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 500),
    decided_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reviewed_once UNIQUE (partition, raw_offset),
    CHECK (concat(actor, note) !~ '[[:cntrl:]]'),
    CHECK ((view_correction_id IS NULL) = (was = became)),
    CHECK ((decided = 'invalid') = (became = 'invalid'))
);
CREATE INDEX ON view_reviews (promoter_id);
COMMENT ON TABLE view_reviews IS 'what a person decided of a view, once';
COMMENT ON COLUMN view_reviews.decided IS 'valid: a person watched; invalid: a bot';
COMMENT ON COLUMN view_reviews.became IS 'the verdict since; unqualified where a person watched and the view policy does not pay';
COMMENT ON COLUMN view_reviews.view_correction_id IS 'of the correction; null where the verdict was upheld';

CREATE FUNCTION check_view_review() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.view_correction_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM view_corrections AS one
        WHERE one.view_correction_id = NEW.view_correction_id
            AND (one.partition, one.raw_offset, one.why, one.was, one.became, one.actor)
                = (NEW.partition, NEW.raw_offset, 'review', NEW.was, NEW.became, NEW.actor)
    ) THEN
        RAISE EXCEPTION 'correction % is not that of the review of view % of partition %',
            NEW.view_correction_id, NEW.raw_offset, NEW.partition
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_view_review AFTER INSERT ON view_reviews
    FOR EACH ROW EXECUTE FUNCTION check_view_review();

-- A person's word stands, also where it changed nothing.
CREATE FUNCTION refuse_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM view_reviews
               WHERE partition = NEW.partition AND raw_offset = NEW.raw_offset) THEN
        RAISE EXCEPTION 'view % of partition % was reviewed by a person',
            NEW.raw_offset, NEW.partition USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_reviewed AFTER INSERT ON view_corrections
    FOR EACH ROW EXECUTE FUNCTION refuse_reviewed();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON view_reviews
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

INSERT INTO chained_tables VALUES ('view_reviews', 'review_id', 'review_id');

GRANT SELECT, INSERT ON view_reviews TO viewledger_app;
GRANT SELECT ON view_reviews TO viewledger_read;

-- migrate:down

ALTER TABLE chain_links DISABLE TRIGGER append_only;
DELETE FROM chain_links;
ALTER TABLE chain_links ENABLE TRIGGER append_only;
DELETE FROM chained_tables WHERE name = 'view_reviews';
DROP TRIGGER refuse_reviewed ON view_corrections;
DROP TABLE view_reviews;
DROP FUNCTION check_view_review, refuse_reviewed;
