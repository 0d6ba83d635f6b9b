-- migrate:up

CREATE TABLE payees (
    promoter_id text PRIMARY KEY REFERENCES promoters,
    version bigint NOT NULL,
    legal_name text NOT NULL CHECK (length(legal_name) BETWEEN 1 AND 140),
    street text NOT NULL,
    building text NOT NULL,
    postcode text NOT NULL,
    town text NOT NULL CHECK (town <> ''),
    region text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    method text NOT NULL CHECK (method IN ('iban', 'ach', 'paypal')),
    sealed bytea NOT NULL CHECK (length(sealed) > 28), -- nonce and tag alone
    key_id text NOT NULL CHECK (key_id <> ''),
    masked text NOT NULL CHECK (masked LIKE '%***%'),
    tax_form text NOT NULL CHECK (tax_form IN ('none', 'w9', 'w8')),
    backup_withholding boolean NOT NULL,
    verified_by text CHECK (length(verified_by) BETWEEN 1 AND 64 AND verified_by = btrim(verified_by)),
    verified_at timestamptz,
    updated_by text NOT NULL CHECK (length(updated_by) BETWEEN 1 AND 64 AND updated_by = btrim(updated_by)),
    updated_at timestamptz NOT NULL,
    edited_by text[] NOT NULL,
    CHECK (concat(legal_name, street, building, postcode, town, region, updated_by, verified_by)
           !~ '[[:cntrl:]]'),
    CHECK (method <> 'ach' OR currency = 'USD'),
    CHECK ((verified_by IS NULL) = (verified_at IS NULL)),
    -- Whoever had a hand in it since it was last verified, and not only the last one: else a
    -- second person's small change would let the first verify his own account.
    CONSTRAINT four_eyes CHECK (lower(verified_by) <> ALL (edited_by))
);
COMMENT ON TABLE payees IS 'by whom a promoter is paid; what was is in payee_changes';
COMMENT ON COLUMN payees.version IS 'raised by every change; not when the same details are sealed with another key';
COMMENT ON COLUMN payees.sealed IS 'bank details, AES-256-GCM with the key key_id: nonce, ciphertext, tag; bound to promoter_id and method';
COMMENT ON COLUMN payees.masked IS 'what may be shown of them';
COMMENT ON COLUMN payees.edited_by IS 'who, in lower case, changed it before it was verified';

-- Versions, times and the end of a verification are nobody's to write.
CREATE FUNCTION stamp_payee() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    editor text := lower(NEW.updated_by);
    account_changed boolean;
    tax_changed boolean;
    verified boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
        NEW.verified_by := NULL;
        NEW.verified_at := NULL;
        NEW.updated_at := now();
        NEW.edited_by := ARRAY[editor];
        RETURN NEW;
    END IF;
    IF NEW.promoter_id <> OLD.promoter_id THEN
        RAISE EXCEPTION 'payee % cannot become the payee of another promoter', OLD.promoter_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;

    -- Set by whoever seals the same details with another key.
    IF current_setting('viewledger.resealing', true) = 'on' THEN
        IF NEW.key_id = OLD.key_id OR to_jsonb(NEW) - ARRAY['sealed', 'key_id']
                                   <> to_jsonb(OLD) - ARRAY['sealed', 'key_id'] THEN
            RAISE EXCEPTION 'payee %: resealing changes the key and nothing else', OLD.promoter_id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;

    account_changed := (NEW.legal_name, NEW.street, NEW.building, NEW.postcode, NEW.town,
                        NEW.region, NEW.country, NEW.currency, NEW.method, NEW.sealed,
                        NEW.key_id, NEW.masked)
        IS DISTINCT FROM (OLD.legal_name, OLD.street, OLD.building, OLD.postcode, OLD.town,
                          OLD.region, OLD.country, OLD.currency, OLD.method, OLD.sealed,
                          OLD.key_id, OLD.masked);
    tax_changed := (NEW.tax_form, NEW.backup_withholding)
        IS DISTINCT FROM (OLD.tax_form, OLD.backup_withholding);
    verified := NEW.verified_by IS DISTINCT FROM OLD.verified_by;
    IF verified AND (account_changed OR tax_changed OR OLD.verified_by IS NOT NULL) THEN
        RAISE EXCEPTION 'payee %: verifying is a step of its own, after every change',
            OLD.promoter_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;

    NEW.version := OLD.version + (account_changed OR tax_changed OR verified)::int;
    NEW.verified_at := CASE WHEN verified THEN now() ELSE OLD.verified_at END;
    NEW.updated_at := OLD.updated_at;
    NEW.edited_by := OLD.edited_by;
    IF account_changed THEN
        NEW.verified_by := NULL;
        NEW.verified_at := NULL;
    END IF;
    IF account_changed OR tax_changed THEN
        NEW.updated_at := now();
        IF account_changed AND OLD.verified_by IS NOT NULL THEN
            NEW.edited_by := ARRAY[editor];
        ELSIF OLD.verified_by IS NULL AND editor <> ALL (OLD.edited_by) THEN
            NEW.edited_by := OLD.edited_by || editor;
        END IF;
    ELSE
        NEW.updated_by := OLD.updated_by; -- who changes nothing did not change it last
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stamp_payee BEFORE INSERT OR UPDATE ON payees
    FOR EACH ROW EXECUTE FUNCTION stamp_payee();

-- History ------------------------------------------------------------------------------------

CREATE TABLE payee_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promoter_id text NOT NULL REFERENCES payees,
    version bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('created', 'changed', 'verified', 'resealed')),
    fields text[] NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    changed_by text NOT NULL,
    db_user text NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON payee_changes (promoter_id, change_id);
COMMENT ON TABLE payee_changes IS 'what was changed about payees, when and by whom; bank details as they are shown, never themselves';
COMMENT ON COLUMN payee_changes.fields IS 'what changed; sealed: the bank details';
COMMENT ON COLUMN payee_changes.before IS 'of the fields that changed and may be shown';

-- With the rights of the owner: the product itself may not write here.
CREATE FUNCTION record_payee_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    unsaid CONSTANT text[] := ARRAY['version', 'updated_by', 'updated_at', 'edited_by'];
    was jsonb := '{}';
    becomes jsonb := to_jsonb(NEW) - unsaid;
    changed text[];
    what text := 'created';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := to_jsonb(OLD) - unsaid;
        what := CASE WHEN OLD.version = NEW.version THEN 'resealed'
                     WHEN NEW.verified_by IS DISTINCT FROM OLD.verified_by
                          AND NEW.verified_by IS NOT NULL THEN 'verified'
                     ELSE 'changed' END;
    END IF;
    changed := ARRAY(SELECT key FROM jsonb_each(becomes)
                     WHERE value IS DISTINCT FROM was -> key AND (value <> 'null' OR was ? key)
                     ORDER BY key);
    INSERT INTO payee_changes (promoter_id, version, kind, fields, before, after, changed_by)
        SELECT NEW.promoter_id, NEW.version, what, changed,
            coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(was)
                      WHERE key = ANY (changed) AND key <> 'sealed'), '{}'),
            coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(becomes)
                      WHERE key = ANY (changed) AND key <> 'sealed'), '{}'),
            CASE what WHEN 'verified' THEN NEW.verified_by WHEN 'resealed' THEN session_user
                      ELSE NEW.updated_by END;
    RETURN NULL;
END $$;
CREATE TRIGGER record_insert AFTER INSERT ON payees
    FOR EACH ROW EXECUTE FUNCTION record_payee_change();
CREATE TRIGGER record_update AFTER UPDATE ON payees
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION record_payee_change();

CREATE FUNCTION refuse_payee_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: payees stay, and so does what was changed about them',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON payees
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_payee_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payee_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_payee_change();
-- Depth 0: not written by a trigger.
CREATE TRIGGER by_trigger_only BEFORE INSERT ON payee_changes
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION refuse_payee_change();

-- Rights -------------------------------------------------------------------------------------

CREATE VIEW payees_masked AS
    SELECT promoter_id, version, legal_name, street, building, postcode, town, region, country,
        currency, method, key_id, masked, tax_form, backup_withholding, verified_by,
        verified_at, updated_by, updated_at
    FROM payees;
COMMENT ON VIEW payees_masked IS 'payees without the sealed bank details';

REVOKE ALL ON payees, payee_changes, payees_masked FROM PUBLIC, viewledger_app, viewledger_read;
GRANT SELECT, INSERT, UPDATE ON payees TO viewledger_app;
GRANT SELECT ON payee_changes, payees_masked TO viewledger_app;
GRANT SELECT ON payees_masked TO viewledger_read;

-- migrate:down

DROP VIEW payees_masked;
DROP TABLE payee_changes, payees;
DROP FUNCTION stamp_payee, record_payee_change, refuse_payee_change;
