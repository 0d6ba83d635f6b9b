-- migrate:up

CREATE TABLE api_keys (
    key_id text PRIMARY KEY CHECK (key_id ~ '^[a-z0-9]{12}$'),
    kind text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64 AND name = btrim(name)),
    token_hash bytea UNIQUE CHECK (length(token_hash) = 32),
    sealed bytea CHECK (length(sealed) > 28), -- nonce and tag alone
    seal_key_id text CHECK (seal_key_id <> ''),
    origins text[] NOT NULL,
    campaigns text[] NOT NULL,
    events_per_minute bigint CHECK (events_per_minute > 0),
    created_by text NOT NULL CHECK (length(created_by) BETWEEN 1 AND 64 AND created_by = btrim(created_by)),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Once: it is the successor that is rotated again.
    rotated_from text UNIQUE REFERENCES api_keys CHECK (rotated_from <> key_id),
    expires_at timestamptz,
    revoked_by text CHECK (length(revoked_by) BETWEEN 1 AND 64 AND revoked_by = btrim(revoked_by)),
    revoked_at timestamptz,
    CHECK (concat(name, created_by, revoked_by) !~ '[[:cntrl:]]'),
    CHECK ((kind = 'publishable') = (token_hash IS NOT NULL)),
    CHECK ((kind = 'publishable') = (cardinality(origins) > 0)),
    CHECK ((kind = 'secret') = (sealed IS NOT NULL)),
    CHECK ((sealed IS NULL) = (seal_key_id IS NULL)),
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);
COMMENT ON TABLE api_keys IS 'who may send events to the collector';
COMMENT ON COLUMN api_keys.token_hash IS 'SHA-256 of the token of a publishable key';
COMMENT ON COLUMN api_keys.sealed IS 'what a secret key signs with, AES-256-GCM with the key seal_key_id: nonce, ciphertext, tag; bound to key_id';
COMMENT ON COLUMN api_keys.campaigns IS 'that it may send views of; none: all';
COMMENT ON COLUMN api_keys.events_per_minute IS 'null: VIEWLEDGER_KEY_EVENTS_PER_MINUTE';
COMMENT ON COLUMN api_keys.expires_at IS 'when a key that was rotated ends';

-- What a key is stays; how it ends does not change once it has ended.
CREATE FUNCTION check_api_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    may_change CONSTANT text[] :=
        ARRAY['sealed', 'seal_key_id', 'expires_at', 'revoked_by', 'revoked_at'];
BEGIN
    IF to_jsonb(NEW) - may_change <> to_jsonb(OLD) - may_change
        OR OLD.revoked_at IS NOT NULL
        OR OLD.expires_at IS NOT NULL AND NEW.expires_at IS DISTINCT FROM OLD.expires_at THEN
        RAISE EXCEPTION 'API key %: it was revoked or rotated, or this is no part that changes',
            OLD.key_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_change BEFORE UPDATE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION check_api_key_change();

-- History ------------------------------------------------------------------------------------

CREATE TABLE api_key_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id text NOT NULL REFERENCES api_keys,
    kind text NOT NULL CHECK (kind IN ('created', 'rotated', 'revoked', 'resealed')),
    changed_by text NOT NULL,
    db_user text NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON api_key_changes (key_id, change_id);
COMMENT ON TABLE api_key_changes IS 'what was done to API keys, when and by whom; written by a trigger only';

-- With the rights of the owner: the product itself may not write here.
CREATE FUNCTION record_api_key_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    what text := 'created';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        what := CASE WHEN NEW.revoked_at IS NOT NULL THEN 'revoked'
                     WHEN NEW.expires_at IS DISTINCT FROM OLD.expires_at THEN 'rotated'
                     ELSE 'resealed' END;
    END IF;
    INSERT INTO api_key_changes (key_id, kind, changed_by)
        VALUES (NEW.key_id, what, CASE what
            WHEN 'created' THEN NEW.created_by
            WHEN 'revoked' THEN NEW.revoked_by
            WHEN 'rotated' THEN coalesce(
                (SELECT created_by FROM api_keys WHERE rotated_from = NEW.key_id), session_user)
            ELSE session_user END);
    RETURN NULL;
END $$;
CREATE TRIGGER record_insert AFTER INSERT ON api_keys
    FOR EACH ROW EXECUTE FUNCTION record_api_key_change();
CREATE TRIGGER record_update AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION record_api_key_change();

-- Rights -------------------------------------------------------------------------------------

REVOKE ALL ON api_keys, api_key_changes FROM PUBLIC, viewledger_app, viewledger_read;
GRANT SELECT, INSERT, UPDATE (sealed, seal_key_id, expires_at, revoked_by, revoked_at)
    ON api_keys TO viewledger_app;
GRANT SELECT (key_id, kind, name, seal_key_id, origins, campaigns, events_per_minute, created_by,
              created_at, rotated_from, expires_at, revoked_by, revoked_at)
    ON api_keys TO viewledger_read;
GRANT SELECT ON api_key_changes TO viewledger_app, viewledger_read;

-- migrate:down

DROP TABLE api_key_changes, api_keys;
DROP FUNCTION check_api_key_change, record_api_key_change;
