-- migrate:up

CREATE TABLE operator_lists (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text NOT NULL CHECK (action IN ('allow', 'deny')),
    entity text NOT NULL CHECK (entity IN ('ip', 'device', 'viewer', 'promoter')),
    value text,
    why text NOT NULL CHECK (length(why) BETWEEN 1 AND 500),
    added_by text NOT NULL CHECK (length(added_by) BETWEEN 1 AND 64 AND added_by = btrim(added_by)),
    added_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    removed_by text CHECK (length(removed_by) BETWEEN 1 AND 64 AND removed_by = btrim(removed_by)),
    removed_why text CHECK (length(removed_why) BETWEEN 1 AND 500),
    removed_at timestamptz,
    CHECK (concat(value, why, added_by, removed_by, removed_why) !~ '[[:cntrl:]]'),
    CHECK (entity <> 'ip' OR cidr(value) IS NOT NULL),
    CHECK (entity <> 'device' OR value ~ '^[0-9a-f]{16}$'),
    CHECK (entity <> 'viewer' OR length(value) BETWEEN 8 AND 64),
    CHECK (value IS NOT NULL OR entity = 'viewer' AND removed_at IS NOT NULL),
    CHECK (expires_at > added_at),
    CHECK ((removed_by IS NULL) = (removed_at IS NULL)),
    CHECK ((removed_by IS NULL) = (removed_why IS NULL))
);
CREATE UNIQUE INDEX one_entry_of_each ON operator_lists (entity, value) WHERE removed_at IS NULL;
COMMENT ON TABLE operator_lists IS 'whom the operator lets through the lists that come along, and whom he refuses; entries stay when they end';
COMMENT ON COLUMN operator_lists.value IS 'a CIDR range, a device (models.batch.devices_of) or an id; null where a viewer was erased';
COMMENT ON COLUMN operator_lists.expires_at IS 'null: until it is removed';

-- What an entry says stays; it ends once.
CREATE FUNCTION check_operator_list_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    may_change CONSTANT text[] := ARRAY['removed_by', 'removed_why', 'removed_at'];
    unlinked CONSTANT text[] := may_change || ARRAY['value', 'why'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.removed_at IS NOT NULL THEN
            RAISE EXCEPTION 'an entry is added before it is removed'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        NEW.added_at := now();
        RETURN NEW;
    END IF;
    -- Of an erased viewer: nothing that leads to him may stay, and nothing else may go.
    IF OLD.entity = 'viewer' AND OLD.value IS NOT NULL AND NEW.value IS NULL
        AND to_jsonb(NEW) - unlinked = to_jsonb(OLD) - unlinked THEN
        NEW.why := 'erased';
        NEW.removed_by := coalesce(OLD.removed_by, NEW.removed_by);
        NEW.removed_at := coalesce(OLD.removed_at, now());
        NEW.removed_why := 'erased';
        RETURN NEW;
    END IF;
    IF OLD.removed_at IS NOT NULL OR to_jsonb(NEW) - may_change <> to_jsonb(OLD) - may_change THEN
        RAISE EXCEPTION 'entry % of operator_lists: it was removed, or this is no part that changes',
            OLD.entry_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.removed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER check_change BEFORE INSERT OR UPDATE ON operator_lists
    FOR EACH ROW EXECUTE FUNCTION check_operator_list_change();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON operator_lists
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();

-- History ------------------------------------------------------------------------------------

CREATE TABLE operator_list_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_id bigint NOT NULL REFERENCES operator_lists,
    kind text NOT NULL CHECK (kind IN ('added', 'removed', 'unlinked')),
    changed_by text NOT NULL,
    db_user text NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON operator_list_changes (entry_id, change_id);
COMMENT ON TABLE operator_list_changes IS 'what was done to operator_lists, when and by whom; written by a trigger only. The last change_id is their version';

-- With the rights of the owner: the product itself may not write here.
CREATE FUNCTION record_operator_list_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO operator_list_changes (entry_id, kind, changed_by)
        VALUES (NEW.entry_id,
            CASE WHEN TG_OP = 'INSERT' THEN 'added' WHEN NEW.value IS NULL THEN 'unlinked'
                 ELSE 'removed' END,
            coalesce(NEW.removed_by, NEW.added_by));
    RETURN NULL;
END $$;
CREATE TRIGGER record_change AFTER INSERT OR UPDATE ON operator_lists
    FOR EACH ROW EXECUTE FUNCTION record_operator_list_change();

CREATE FUNCTION refuse_operator_list_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: entries stay, and so does what was done to them', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON operator_lists
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_operator_list_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_list_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_operator_list_change();
-- Depth 0: not written by a trigger.
CREATE TRIGGER by_trigger_only BEFORE INSERT ON operator_list_changes
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1)
    EXECUTE FUNCTION refuse_operator_list_change();

-- Rights -------------------------------------------------------------------------------------

REVOKE ALL ON operator_lists, operator_list_changes FROM PUBLIC, viewledger_app, viewledger_read;
GRANT SELECT, INSERT (action, entity, value, why, added_by, expires_at),
    UPDATE (value, removed_by, removed_why) ON operator_lists TO viewledger_app;
GRANT SELECT (entry_id, action, entity, why, added_by, added_at, expires_at, removed_by,
              removed_why, removed_at) ON operator_lists TO viewledger_read;
GRANT SELECT ON operator_list_changes TO viewledger_app, viewledger_read;

-- migrate:down

DROP TABLE operator_list_changes, operator_lists;
DROP FUNCTION check_operator_list_change, record_operator_list_change, refuse_operator_list_change;
