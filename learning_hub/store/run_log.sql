-- The log of a run, made from the stored run, its deliveries and their attempts.

-- name: find_run
-- Run $1, with the columns that the entries of the run itself report.
SELECT program_id, trigger, requested_by, request, state, counts, message FROM run WHERE run_id = $1::text

-- name: page
-- Up to $6 entries of the log of run $1 of Program $2, after the position $3 (time), $4 (delivery), $5 (number), in
-- that order. Entries of the run itself have the lowest uuid, or the highest at its end. Entries of deliveries begin
-- when the run has gathered all its deliveries, and end with the run: later changes of a delivery are not part of the
-- run.
WITH mine AS (
    SELECT delivery.program_id, delivery.delivery_uuid, delivery.event_uuid, delivery.subscriber_id, delivery.state,
           delivery.state_utc, delivery.code, delivery.message, delivery.held, delivery.attempts,
           delivery.subscriber_record_id, run_delivery.was_delivered, run.started_utc, run.gathered_utc,
           run.finished_utc, coalesce(run.finished_utc, 'infinity') AS end_utc
      FROM run
      JOIN run_delivery ON run_delivery.program_id = run.program_id AND run_delivery.run_id = run.run_id
      JOIN delivery ON delivery.program_id = run_delivery.program_id
                   AND delivery.delivery_uuid = run_delivery.delivery_uuid
     WHERE run.run_id = $1::text AND run.program_id = $2::text AND run.gathered_utc IS NOT NULL
       -- All entries of other deliveries are before $3: an attempt ends when its delivery changes state, or a moment
       -- later.
       AND (run.gathered_utc >= $3::timestamptz OR delivery.state_utc >= $3::timestamptz - interval '1 minute'
            OR delivery.state IN ('waiting', 'sending', 'retrying'))
), line AS (
    SELECT started_utc AS at_utc, '00000000-0000-0000-0000-000000000000'::uuid AS delivery_uuid, 0 AS number,
           'begun' AS kind, NULL::uuid AS event_uuid, NULL::text AS state, NULL::text AS message,
           NULL::text AS subscriber, NULL::text AS record_id
      FROM run WHERE run_id = $1::text
    UNION ALL
    SELECT gathered_utc, '00000000-0000-0000-0000-000000000000', 1, 'gathered', NULL, NULL,
           (SELECT count(*)::text FROM run_delivery WHERE program_id = $2::text AND run_id = $1::text), NULL, NULL
      FROM run WHERE run_id = $1::text AND gathered_utc IS NOT NULL
    UNION ALL
    SELECT finished_utc, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 0, 'finished', NULL, NULL, NULL, NULL, NULL
      FROM run WHERE run_id = $1::text AND finished_utc IS NOT NULL
    UNION ALL
    SELECT gathered_utc, delivery_uuid, 0, 'before', event_uuid, NULL, NULL, NULL, NULL FROM mine WHERE was_delivered
    UNION ALL
    SELECT greatest(attempt.ended_utc, gathered_utc), mine.delivery_uuid, attempt.number,
           CASE WHEN attempt.code IS NULL THEN 'delivered' ELSE 'failed' END, event_uuid,
           CASE WHEN attempt.number = mine.attempts AND attempt.code = mine.code THEN state END, attempt.message, NULL,
           subscriber_record_id
      FROM mine
      JOIN attempt ON attempt.program_id = mine.program_id AND attempt.delivery_uuid = mine.delivery_uuid
     WHERE NOT was_delivered AND attempt.ended_utc BETWEEN mine.started_utc AND end_utc
    UNION ALL
    SELECT greatest(state_utc, gathered_utc), delivery_uuid, 999999998, 'settled', event_uuid, state, message, NULL,
           NULL
      FROM mine
     WHERE NOT was_delivered AND state IN ('parked', 'skipped', 'superseded', 'discarded')
       AND state_utc <= end_utc
       AND NOT EXISTS (SELECT FROM attempt
                        WHERE attempt.program_id = mine.program_id AND attempt.delivery_uuid = mine.delivery_uuid
                          AND attempt.number = mine.attempts AND attempt.code = mine.code
                          AND attempt.ended_utc BETWEEN mine.started_utc AND end_utc)
    UNION ALL
    SELECT finished_utc, delivery_uuid, 999999999, 'left', event_uuid,
           CASE WHEN state_utc > finished_utc THEN NULL WHEN held THEN 'held' WHEN pause.subscriber_id IS NOT NULL
                THEN 'paused' ELSE state END, mine.message, mine.subscriber_id, NULL
      FROM mine
      LEFT JOIN subscriber_pause AS pause ON pause.subscriber_id = mine.subscriber_id
     WHERE NOT was_delivered AND finished_utc IS NOT NULL
       AND (state_utc <= finished_utc AND state IN ('waiting', 'sending', 'retrying')
            OR state_utc > finished_utc
               AND NOT EXISTS (SELECT FROM attempt
                                WHERE attempt.program_id = mine.program_id
                                  AND attempt.delivery_uuid = mine.delivery_uuid
                                  AND attempt.ended_utc BETWEEN mine.started_utc AND end_utc))
)
SELECT * FROM line
 WHERE (at_utc, delivery_uuid, number) > ($3::timestamptz, $4::uuid, $5::int)
 ORDER BY at_utc, delivery_uuid, number
 LIMIT $6::int
