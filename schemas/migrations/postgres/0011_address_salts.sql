-- migrate:up

CREATE TABLE address_salts (
    day date PRIMARY KEY,
    sealed bytea NOT NULL CHECK (length(sealed) > 28), -- nonce and tag alone
    seal_key_id text NOT NULL CHECK (seal_key_id <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE address_salts IS 'with what collectors hash addresses on a UTC day; deleted a day after it';
COMMENT ON COLUMN address_salts.sealed IS '32 random bytes, AES-256-GCM with the key seal_key_id: nonce, ciphertext, tag; bound to the day';

-- By the clock of the database: of two salts for one day each would hide what the other shows, so
-- one that was deleted must never be made again, and none deleted that a collector still uses.
CREATE FUNCTION check_salt_day() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.day NOT BETWEEN today - 1 AND today + 2 THEN
        RAISE EXCEPTION 'a salt for % on %: a clock is wrong by more than a day', NEW.day, today
            USING ERRCODE = 'integrity_constraint_violation';
    ELSIF TG_OP = 'DELETE' AND OLD.day >= today - 1 THEN
        RAISE EXCEPTION 'the salt of % is in use on %', OLD.day, today
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER check_day BEFORE INSERT OR DELETE ON address_salts
    FOR EACH ROW EXECUTE FUNCTION check_salt_day();

REVOKE ALL ON address_salts FROM PUBLIC, viewledger_app, viewledger_read;
GRANT SELECT, INSERT, DELETE ON address_salts TO viewledger_app;

-- migrate:down

DROP TABLE address_salts;
DROP FUNCTION check_salt_day;
