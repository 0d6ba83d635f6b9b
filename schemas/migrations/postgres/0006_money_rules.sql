-- migrate:up

-- Rates --------------------------------------------------------------------------------------

CREATE TABLE campaign_rates (
    campaign_id text NOT NULL REFERENCES campaigns,
    valid_from timestamptz NOT NULL,
    rate_micros bigint NOT NULL CHECK (rate_micros BETWEEN 1 AND 1000000000000),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (campaign_id, valid_from)
);
COMMENT ON TABLE campaign_rates IS 'a rate holds for views whose viewed_at is from valid_from on, until the next one';
COMMENT ON COLUMN campaign_rates.valid_from IS '-infinity for the first one, so that every view has a rate';
COMMENT ON COLUMN campaign_rates.rate_micros IS 'micro-units of the currency per valid view';

INSERT INTO campaign_rates (campaign_id, valid_from, rate_micros)
    SELECT campaign_id, '-infinity', rate_micros FROM campaigns;
-- danger: its values are the first rates now
ALTER TABLE campaigns DROP COLUMN rate_micros;

CREATE FUNCTION refuse_past_rate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM campaign_rates WHERE campaign_id = NEW.campaign_id) THEN
        IF NEW.valid_from <> '-infinity' THEN
            RAISE EXCEPTION 'the first rate of campaign % must be valid from -infinity',
                NEW.campaign_id USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF NEW.valid_from < statement_timestamp() OR NEW.valid_from = 'infinity' THEN
        RAISE EXCEPTION 'a rate of campaign % from % on: a rate never changes the past',
            NEW.campaign_id, NEW.valid_from USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_past BEFORE INSERT ON campaign_rates
    FOR EACH ROW EXECUTE FUNCTION refuse_past_rate();
CREATE TRIGGER raise_version AFTER INSERT ON campaign_rates
    FOR EACH STATEMENT EXECUTE FUNCTION raise_catalogue_version();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON campaign_rates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE VIEW current_rates AS
    SELECT DISTINCT ON (campaign_id) campaign_id, rate_micros, valid_from
    FROM campaign_rates WHERE valid_from <= statement_timestamp()
    ORDER BY campaign_id, valid_from DESC;
COMMENT ON VIEW current_rates IS 'the rate of each campaign for what is viewed now';

-- Fee, daily budget, hold --------------------------------------------------------------------

ALTER TABLE campaigns
    ADD COLUMN fee_bp integer NOT NULL DEFAULT 0 CHECK (fee_bp BETWEEN 0 AND 10000),
    ADD COLUMN daily_budget_micros bigint
        CHECK (daily_budget_micros BETWEEN 0 AND 1000000000000000000),
    ADD COLUMN hold_hours integer NOT NULL DEFAULT 72 CHECK (hold_hours BETWEEN 0 AND 8760);
COMMENT ON COLUMN campaigns.fee_bp IS 'basis points of the rate that the platform keeps, of what is booked from now on';
COMMENT ON COLUMN campaigns.daily_budget_micros IS 'most that the views of one UTC day of the log may cost; null: no such limit';
COMMENT ON COLUMN campaigns.hold_hours IS 'how long what is earned stays pending';
COMMENT ON COLUMN campaigns.budget_micros IS 'all that was funded: equals minus the balance of its campaign_funding account';

ALTER TABLE accruals
    ADD COLUMN accrual_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN fee_bp integer NOT NULL DEFAULT 0 CHECK (fee_bp BETWEEN 0 AND 10000),
    ADD COLUMN fee_micros bigint NOT NULL DEFAULT 0,
    -- Rounded per view, so that it is the same however the log was cut into bookings.
    ADD CONSTRAINT fee_per_view CHECK (fee_micros = views * (rate_micros * fee_bp / 10000));
COMMENT ON COLUMN accruals.views IS 'valid views that were paid: amount_micros left campaign_budget';
COMMENT ON COLUMN accruals.fee_micros IS 'of amount_micros: went to platform_fee, the rest to promoter_pending';

CREATE TABLE campaign_days (
    campaign_id text NOT NULL,
    day date NOT NULL,
    spent_micros bigint NOT NULL CHECK (spent_micros >= 0),
    PRIMARY KEY (campaign_id, day)
) WITH (fillfactor = 50); -- rewritten with every booking: room for HOT updates
COMMENT ON TABLE campaign_days IS 'sum of accruals.amount_micros by campaign and UTC day of log_hour';
INSERT INTO campaign_days (campaign_id, day, spent_micros)
    SELECT campaign_id, (log_hour AT TIME ZONE 'UTC')::date, sum(amount_micros)
    FROM accruals WHERE views > 0 GROUP BY 1, 2;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON campaign_days
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_less_spent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'campaign_days of % on %: what is spent does not become less',
        OLD.campaign_id, OLD.day USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER never_less BEFORE UPDATE ON campaign_days FOR EACH ROW
    WHEN (NEW.campaign_id <> OLD.campaign_id OR NEW.day <> OLD.day
          OR NEW.spent_micros < OLD.spent_micros)
    EXECUTE FUNCTION refuse_less_spent();

-- Grants -------------------------------------------------------------------------------------

GRANT SELECT, INSERT ON campaign_rates TO viewledger_app;
GRANT SELECT, INSERT, UPDATE ON campaign_days TO viewledger_app;
GRANT SELECT ON current_rates TO viewledger_app;
GRANT SELECT ON campaign_rates, current_rates, campaign_days TO viewledger_read;

-- migrate:down

ALTER TABLE campaigns ADD COLUMN rate_micros bigint CHECK (rate_micros BETWEEN 1 AND 1000000000000);
UPDATE campaigns SET rate_micros = current_rates.rate_micros
    FROM current_rates WHERE current_rates.campaign_id = campaigns.campaign_id;
ALTER TABLE campaigns ALTER COLUMN rate_micros SET NOT NULL;
COMMENT ON COLUMN campaigns.rate_micros IS 'micro-units of the currency per valid view';
COMMENT ON COLUMN campaigns.budget_micros IS 'funded in full on import: equals the credits of its campaign_budget account';
ALTER TABLE campaigns DROP COLUMN fee_bp, DROP COLUMN daily_budget_micros, DROP COLUMN hold_hours;
ALTER TABLE accruals DROP COLUMN accrual_id, DROP COLUMN fee_bp, DROP COLUMN fee_micros;
COMMENT ON COLUMN accruals.views IS 'valid views that were paid: amount_micros went from campaign_budget to promoter_pending';
DROP VIEW current_rates;
DROP TABLE campaign_rates, campaign_days;
DROP FUNCTION refuse_past_rate, refuse_less_spent;
