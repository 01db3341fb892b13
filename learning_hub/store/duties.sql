-- What deliveries are about: read together for all that were claimed together.

-- name: load
-- Of each of the deliveries $1/$2 (arrays): its event with its withdrawal, the versions of its subscription and
-- subscriber, the name of its Program, and who the participant is at the subscriber as far as is remembered.
SELECT delivery.delivery_uuid, event.*, withdrawal.withdrawn_utc AS withdrawal_utc,
       delivery.subscription_id, subscription.changed_utc AS subscription_changed_utc,
       subscription.archived_utc AS subscription_archived_utc,
       delivery.subscriber_id, subscriber.changed_utc AS subscriber_changed_utc,
       subscriber.credentials_checked_utc, program.name AS program_name, known.subscriber_participant_id
  FROM unnest($1::text[], $2::uuid[]) AS asked (program_id, delivery_uuid)
  JOIN delivery ON delivery.program_id = asked.program_id AND delivery.delivery_uuid = asked.delivery_uuid
  JOIN event
    ON event.program_id = delivery.program_id AND event.event_uuid = delivery.event_uuid AND NOT event.is_withdrawal
  LEFT JOIN event AS withdrawal
    ON withdrawal.program_id = event.program_id AND withdrawal.event_uuid = event.event_uuid
   AND withdrawal.is_withdrawal
  JOIN subscription ON subscription.subscription_id = delivery.subscription_id
  JOIN subscriber ON subscriber.subscriber_id = delivery.subscriber_id
  JOIN program ON program.program_id = delivery.program_id
  LEFT JOIN LATERAL (
       SELECT subscriber_participant_id
         FROM participant
        WHERE participant.subscriber_id = delivery.subscriber_id AND participant.program_id = event.program_id
          AND participant.publisher_system_id IN (event.publisher_system_id, '')
          AND participant.publisher_participant_id = event.publisher_participant_id
          AND (expires_utc IS NULL OR expires_utc > now())
        ORDER BY settled_by IS NULL, participant.publisher_system_id = ''
        LIMIT 1) AS known ON true
