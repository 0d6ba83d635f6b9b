-- migrate:up

-- A viewer who was erased is known by a keyed hash only. Whoever reads `erasures`, a dump of it or
-- a report cannot try viewer ids against it without the key.
CREATE TABLE erasure_key (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    secret bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO erasure_key (secret)
    VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

CREATE TABLE erasures (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    pseudonym text NOT NULL UNIQUE CHECK (pseudonym ~ '^erased-[0-9a-f]{32}$'),
    requested_by text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
    requested_at timestamptz NOT NULL DEFAULT now(),
    ends jsonb,
    views bigint NOT NULL DEFAULT 0,
    tables_at timestamptz,
    logs_at timestamptz,
    finished_at timestamptz
);
COMMENT ON TABLE erasures IS 'viewers who were erased; scorers replace their ids from the request on, for ever';
COMMENT ON COLUMN erasures.digest IS 'SHA-256 of erasure_key.secret and the viewer id';
COMMENT ON COLUMN erasures.pseudonym IS 'stands in their rows; another one once finished, so that the id does not lead to them';
COMMENT ON COLUMN erasures.ends IS 'partition → end of views.raw when every scorer knew of the request';
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OF pseudonym ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();

CREATE TABLE log_rewrites (
    rewrite_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    state text NOT NULL DEFAULT 'begun'
        CHECK (state IN ('begun', 'copying', 'swapping', 'switching', 'done')),
    erasures bigint[] NOT NULL DEFAULT '{}',
    plan jsonb,
    digests jsonb,
    messages bigint NOT NULL DEFAULT 0,
    views bigint NOT NULL DEFAULT 0,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE UNIQUE INDEX one_rewrite_at_a_time ON log_rewrites ((true)) WHERE state <> 'done';
COMMENT ON TABLE log_rewrites IS 'topics that were written anew without erased viewers; workers wait while one is not done';
COMMENT ON COLUMN log_rewrites.plan IS 'partitions, replication and settings of the topic';
COMMENT ON COLUMN log_rewrites.digests IS 'partition → SHA-256 of all messages of the verified copy';

GRANT SELECT ON erasure_key TO viewledger_app;
GRANT SELECT, INSERT, UPDATE ON erasures TO viewledger_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON log_rewrites TO viewledger_app;
GRANT SELECT ON log_rewrites TO viewledger_read;

-- migrate:down

DROP TABLE log_rewrites, erasures, erasure_key;
