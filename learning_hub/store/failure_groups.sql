-- Failed deliveries grouped by cause.

-- name: page
-- Up to $17 groups: failures of the hub itself first, then pauses that have lasted $9 seconds or are for refused
-- credentials, which do not pass by themselves, then the rest, each the largest first. The rest includes categories
-- without a template, unless their subscription is archived. Filters, null for none: $1 Programs, $2 state, $3 class, $4
-- code, $5 and $6 Program and uuid of an event, $7 subscription, $8 subscriber, $10 signature. A delivery that is
-- retrying because its subscriber is away is counted with the pause, if the pause is listed. The page begins after the
-- position $11 to $16 and $18, or at the beginning if $11 is null.
WITH paused AS (
    SELECT served.program_id, pause.*,
           (SELECT count(*) FROM delivery
             WHERE delivery.subscriber_id = pause.subscriber_id AND delivery.program_id = served.program_id
               AND (delivery.state = 'waiting' AND NOT delivery.held
                    OR $2::text IS NULL AND delivery.state = 'retrying' AND delivery.class = 'unavailable'
                       AND delivery.failed_utc >= pause.since_utc)
               AND ($7::text IS NULL OR delivery.subscription_id = $7::text)) AS count
      FROM subscriber_pause AS pause
      JOIN subscriber USING (subscriber_id)
      JOIN (SELECT DISTINCT program_id, subscriber_id FROM subscription
             WHERE archived_utc IS NULL AND ($7::text IS NULL OR subscription_id = $7::text)) AS served
           USING (subscriber_id)
     WHERE (pause.code = 'credentials_refused'
            OR pause.since_utc <= clock_timestamp() - make_interval(secs => $9::float8))
       AND subscriber.archived_utc IS NULL
       AND ($1::text[] IS NULL OR served.program_id = ANY ($1::text[]))
       AND ($2::text IS NULL OR $2::text = 'waiting')
       AND ($3::text IS NULL OR pause.class = $3::text)
       AND ($4::text IS NULL OR pause.code = $4::text)
       AND ($8::text IS NULL OR pause.subscriber_id = $8::text)
       AND $6::uuid IS NULL AND $10::text IS NULL
), failing AS (
    SELECT program_id, subscriber_id, subscription_id, code, signature, min(class) AS class, count(*) AS count,
           min(coalesce(failing_since_utc, created_utc)) AS first_utc,
           max(coalesce(failed_utc, created_utc)) AS last_utc,
           max(delivery_uuid::text COLLATE "C")::uuid AS example_uuid
      FROM delivery
     WHERE signature IS NOT NULL AND state IN ('retrying', 'parked')
       AND ($1::text[] IS NULL OR program_id = ANY ($1::text[]))
       AND ($2::text IS NULL OR state = $2::text)
       AND ($3::text IS NULL OR class = $3::text)
       AND ($4::text IS NULL OR code = $4::text)
       AND ($5::text IS NULL OR program_id = $5::text)
       AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
       AND ($7::text IS NULL OR subscription_id = $7::text)
       AND ($8::text IS NULL OR subscriber_id = $8::text)
       AND ($10::text IS NULL OR signature = $10::text)
       AND NOT ($2::text IS NULL AND state = 'retrying' AND class = 'unavailable'
                AND EXISTS (SELECT FROM paused
                             WHERE paused.program_id = delivery.program_id
                               AND paused.subscriber_id = delivery.subscriber_id
                               AND paused.since_utc <= delivery.failed_utc))
     GROUP BY program_id, subscriber_id, subscription_id, code, signature
), untemplated AS (
    SELECT program_id, subscriber_id, subscription_id, code,
           no_template_signature(state, code, message) AS signature, 'mapping' AS class, count(*) AS count,
           min(state_utc) AS first_utc, max(state_utc) AS last_utc,
           max(delivery_uuid::text COLLATE "C")::uuid AS example_uuid
      FROM delivery
     WHERE state = 'skipped' AND code = 'no_template'
       AND ($1::text[] IS NULL OR program_id = ANY ($1::text[]))
       AND ($2::text IS NULL OR $2::text = 'skipped')
       AND ($3::text IS NULL OR $3::text = 'mapping')
       AND ($4::text IS NULL OR $4::text = 'no_template')
       AND ($5::text IS NULL OR program_id = $5::text)
       AND ($6::uuid IS NULL OR event_uuid = $6::uuid)
       AND ($7::text IS NULL OR subscription_id = $7::text)
       AND ($8::text IS NULL OR subscriber_id = $8::text)
       AND ($10::text IS NULL OR no_template_signature(state, code, message) = $10::text)
       AND EXISTS (SELECT FROM subscription
                    WHERE subscription.subscription_id = delivery.subscription_id AND archived_utc IS NULL)
     GROUP BY program_id, subscriber_id, subscription_id, code, no_template_signature(state, code, message)
), grouped AS (
    SELECT CASE class WHEN 'hub' THEN 0 ELSE 2 END AS rank, program_id, subscriber_id, subscription_id, code, signature,
           class, count, first_utc, last_utc, example_uuid, NULL AS message
      FROM (SELECT * FROM failing UNION ALL SELECT * FROM untemplated) AS failures
     UNION ALL
    SELECT 1, program_id, subscriber_id, '', code, '', class, count, since_utc,
           greatest(since_utc, least(clock_timestamp(), next_probe_utc - make_interval(secs => probe_seconds))),
           NULL, message
      FROM paused
), chosen AS (
    SELECT * FROM grouped
     WHERE $11::int IS NULL
        OR (rank, -count, program_id, subscriber_id, subscription_id, code, signature)
           > ($11::int, -$12::bigint, $13::text, $14::text, $15::text, $16::text, $18::text)
     ORDER BY rank, count DESC, program_id, subscriber_id, subscription_id, code, signature
     LIMIT $17::int
)
SELECT chosen.rank, chosen.program_id, chosen.subscriber_id, chosen.subscription_id, chosen.code, chosen.signature,
       chosen.class, chosen.count, chosen.first_utc, chosen.last_utc, chosen.example_uuid,
       coalesce(chosen.message, example.message, '') AS message, example.event_uuid
  FROM chosen
  LEFT JOIN delivery AS example
    ON example.program_id = chosen.program_id AND example.delivery_uuid = chosen.example_uuid
 ORDER BY chosen.rank, chosen.count DESC, chosen.program_id, chosen.subscriber_id, chosen.subscription_id, chosen.code,
          chosen.signature
