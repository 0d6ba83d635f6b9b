-- migrate:up
CREATE MATERIALIZED VIEW views_hourly_feed TO views_hourly AS
SELECT
    toStartOfHour(viewed_at) AS hour,
    campaign_id,
    promoter_id,
    platform,
    verdict,
    currency,
    partition,
    count() AS views,
    sum(watch_ms) AS watch_ms,
    sum(if(verdict = 'valid', rate_micros, 0)) AS amount_micros
FROM views
GROUP BY hour, campaign_id, promoter_id, platform, verdict, currency, partition;

-- migrate:down
DROP VIEW views_hourly_feed;
