-- migrate:up

-- What was done, never changed: which model judges follows from all rows in their order.
CREATE TABLE model_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text NOT NULL CHECK (action IN ('promote', 'rollback', 'shadow', 'unshadow')),
    model text NOT NULL CHECK (length(model) BETWEEN 1 AND 100),
    version text NOT NULL CHECK (length(version) BETWEEN 1 AND 200),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 1000),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE model_changes IS 'who promoted, rolled back or shadowed which model; scorers follow within seconds';
COMMENT ON COLUMN model_changes.model IS 'folder in the registry; of a rollback the model that is taken away';
COMMENT ON COLUMN model_changes.sha256 IS 'of its file: another file under this name is refused';
CREATE TRIGGER raise_version AFTER INSERT ON model_changes
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();

GRANT SELECT, INSERT ON model_changes TO viewledger_app;
GRANT SELECT ON model_changes TO viewledger_read;

-- migrate:down

DROP TABLE model_changes;
