"""Checks of corrections that name their views; the queries are as in `ledger_verify_journals`."""

CHECKS = {
    "a correction takes back the views that it names": """
        SELECT 'correction ' || correction_id, named || ' views, ' || said,
            corrections.views || ' views, ' || amount_micros
        FROM corrections
        JOIN (SELECT correction_id, count(*) AS named, -sum(paid_micros) AS said,
                  count(DISTINCT accrual_id) AS of, min(accrual_id) AS accrual
              FROM view_corrections WHERE correction_id IS NOT NULL GROUP BY correction_id)
            AS named USING (correction_id)
        WHERE (named, said, of, accrual) <> (corrections.views, amount_micros, 1, accrual_id)
    """,
    "what a correction books are the views that it names": """
        SELECT 'accrual ' || accrual_id,
            accruals.views || ' views, ' || capped_views || ' capped',
            coalesce(paid, 0) || ' views, ' || coalesce(capped, 0) || ' capped'
        FROM accruals
        LEFT JOIN (SELECT accrual_id, count(*) FILTER (WHERE paid_micros > 0) AS paid,
                       count(*) FILTER (WHERE capped_micros > 0) AS capped
                   FROM view_corrections WHERE became = 'valid' GROUP BY accrual_id)
            AS named USING (accrual_id)
        WHERE (partition < 0 OR named.accrual_id IS NOT NULL)
            AND (accruals.views, capped_views, partition)
                <> (coalesce(paid, 0), coalesce(capped, 0), -1)
    """,
    "no more is taken from what was capped than was capped": """
        SELECT 'accrual ' || accrual_id, 'at most ' || capped_views, taken
        FROM accruals
        JOIN (SELECT accrual_id, count(*) AS taken FROM view_corrections
              WHERE capped_micros < 0 GROUP BY accrual_id) AS back USING (accrual_id)
        WHERE taken > capped_views
    """,
    "a corrected view is of its accrual": """
        SELECT 'view_corrections view_correction_id ' || view_correction_id,
            'accrual ' || accrual_id,
            concat_ws(' ', one.campaign_id, one.promoter_id, one.currency, one.rate_micros)
        FROM view_corrections AS one JOIN accruals USING (accrual_id)
        WHERE (one.campaign_id, one.promoter_id, one.currency, one.rate_micros,
               date_trunc('hour', one.log_time, 'UTC'))
            <> (accruals.campaign_id, accruals.promoter_id, accruals.currency,
                accruals.rate_micros, log_hour)
    """,
    "a view is what was decided of it": """
        SELECT 'view_reviews review_id ' || review_id,
            concat_ws(' ', one.was, one.became, one.actor),
            concat_ws(' ', last.was, last.became, last.actor)
        FROM view_reviews AS one
        LEFT JOIN LATERAL (SELECT view_correction_id, was, became, actor, why
                           FROM view_corrections
                           WHERE partition = one.partition AND raw_offset = one.raw_offset
                           ORDER BY view_correction_id DESC LIMIT 1) AS last ON true
        WHERE CASE WHEN one.view_correction_id IS NULL
            THEN coalesce(last.became, one.became) <> one.became OR last.why = 'review'
            ELSE (one.view_correction_id, one.was, one.became, one.actor, 'review')
                IS DISTINCT FROM (last.view_correction_id, last.was, last.became, last.actor,
                                  last.why) END
    """,
}
