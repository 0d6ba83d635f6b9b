-- migrate:up

CREATE TABLE campaigns (
    campaign_id text PRIMARY KEY CHECK (length(campaign_id) BETWEEN 1 AND 64),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- The upper bounds keep the sums of a whole booking within 64 bits.
    rate_micros bigint NOT NULL CHECK (rate_micros BETWEEN 1 AND 1000000000000),
    budget_micros bigint NOT NULL CHECK (budget_micros BETWEEN 0 AND 1000000000000000000),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'paused', 'ended')),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (starts_at < ends_at)
);
COMMENT ON COLUMN campaigns.rate_micros IS 'micro-units of the currency per valid view';
COMMENT ON COLUMN campaigns.budget_micros IS 'funded in full on import: equals the credits of its campaign_budget account';

CREATE TABLE promoters (
    promoter_id text PRIMARY KEY CHECK (length(promoter_id) BETWEEN 1 AND 64),
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE catalogue_version (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version bigint NOT NULL
);
COMMENT ON TABLE catalogue_version IS 'one row, raised with every change: cheap to poll, and the lock of those who write the catalogue';
INSERT INTO catalogue_version (version) VALUES (0);

CREATE FUNCTION raise_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalogue_version SET version = version + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON campaigns
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();
CREATE TRIGGER raise_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON promoters
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();

-- migrate:down

DROP TABLE campaigns, promoters, catalogue_version;
DROP FUNCTION raise_catalogue_version;
