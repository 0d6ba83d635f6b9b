-- migrate:up

-- A plan that a trigger made while tables were small stays for the whole session, and one that
-- was made for a large posting would read all journals for every small one. By index is right
-- for both: a posting never touches but a small part of these tables.
ALTER FUNCTION post_entries() SET enable_seqscan = off;
ALTER FUNCTION post_entries() SET enable_hashjoin = off;
ALTER FUNCTION post_entries() SET enable_mergejoin = off;

-- With the month it looks into one partition and not into all.
CREATE OR REPLACE FUNCTION refuse_empty_journal() RETURNS trigger
    LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM entries
                   WHERE journal_id = NEW.journal_id AND created_at = NEW.created_at) THEN
        RAISE EXCEPTION 'journal % has no entries', NEW.journal_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

-- Hours come in order: the ranges of a BRIN index find them, and cost a booking next to nothing.
DROP INDEX accruals_log_hour_idx;
CREATE INDEX accruals_log_hour_idx ON accruals USING brin (log_hour);

-- What a person has to look at is little of what banks answer.
CREATE INDEX bank_answers_puzzles_idx ON bank_answers (answer_id) WHERE note <> '';

-- migrate:down

DROP INDEX bank_answers_puzzles_idx;
DROP INDEX accruals_log_hour_idx;
CREATE INDEX accruals_log_hour_idx ON accruals (log_hour);
CREATE OR REPLACE FUNCTION refuse_empty_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM entries WHERE journal_id = NEW.journal_id) THEN
        RAISE EXCEPTION 'journal % has no entries', NEW.journal_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
ALTER FUNCTION refuse_empty_journal() RESET ALL;
ALTER FUNCTION post_entries() RESET enable_seqscan;
ALTER FUNCTION post_entries() RESET enable_hashjoin;
ALTER FUNCTION post_entries() RESET enable_mergejoin;
