-- Changes of many deliveries that are carried out in batches, and the number by which a release is known to be old.
-- depends: 0002_pre_delivery_rules

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE subscription ADD COLUMN change_number bigint NOT NULL DEFAULT 0;
ALTER TABLE subscription ADD COLUMN pending_change text;
ALTER TABLE subscription
    ADD CONSTRAINT subscription_pending_change_known CHECK (pending_change IN ('stop', 'start', 'archive'));

ALTER TABLE delivery ADD COLUMN released_change bigint NOT NULL DEFAULT 0;

-- Each index is built in about a second for each million deliveries. Deliveries wait meanwhile; publishing does not.
CREATE INDEX delivery_due_of_subscription ON delivery (subscription_id, due_utc)
    WHERE state IN ('waiting', 'retrying') AND NOT held;
CREATE INDEX delivery_released ON delivery (subscription_id, released_change, due_utc)
    WHERE state IN ('waiting', 'retrying') AND NOT held AND released;
CREATE INDEX delivery_held ON delivery (subscription_id, delivery_uuid) WHERE held;

CREATE TABLE bulk_change (
    run_id          text        PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    kind            text        NOT NULL,
    subscription_id text,
    change_number   bigint,
    filter          json        NOT NULL DEFAULT '{}',
    reason          text,
    began_utc       timestamptz NOT NULL DEFAULT clock_timestamp(),
    after_uuid      uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    after_due_utc   timestamptz,
    total           bigint,
    waiting         bigint      NOT NULL DEFAULT 0,
    superseded      bigint      NOT NULL DEFAULT 0,
    discarded       bigint      NOT NULL DEFAULT 0,

    CONSTRAINT bulk_change_kind_known CHECK (kind IN ('stop', 'start', 'archive', 'requeue', 'discard')),
    CONSTRAINT bulk_change_scope CHECK (
        CASE WHEN kind IN ('requeue', 'discard') THEN change_number IS NULL
             ELSE subscription_id IS NOT NULL AND change_number IS NOT NULL END)
);

DROP FUNCTION deliveries_before(text, text, text, text, bigint, uuid);

-- Whether a run or a person released a delivery, and its subscription was not stopped or started since.
CREATE FUNCTION is_released(held boolean, released boolean, released_change bigint, change_number bigint)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN NOT held AND released AND released_change = change_number;

-- The deliveries that block a delivery: those of the same source record that are being sent or may still be carried
-- out, and older ones that are to be sent before it. At a subscription that sends by itself these are those that are
-- not held, and the held ones too while a start is still releasing them; at any other, those that are released.
CREATE FUNCTION deliveries_before(program_id text, subscription_id text, publisher_event_id text,
                                  publisher_system_id text, event_seq bigint, delivery_uuid uuid,
                                  is_sending_by_itself boolean, change_number bigint, pending_change text)
    RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT other.delivery_uuid FROM delivery AS other
         WHERE other.program_id = deliveries_before.program_id
           AND other.subscription_id = deliveries_before.subscription_id
           AND other.publisher_event_id = deliveries_before.publisher_event_id
           AND other.publisher_system_id = deliveries_before.publisher_system_id
           AND (other.state = 'sending' OR other.doubt_until_utc > now()
                OR (other.state IN ('waiting', 'retrying')
                    AND CASE WHEN deliveries_before.is_sending_by_itself
                             THEN NOT other.held OR deliveries_before.pending_change = 'start'
                             ELSE is_released(other.held, other.released, other.released_change,
                                              deliveries_before.change_number) END
                    AND (other.event_seq, other.delivery_uuid)
                        < (deliveries_before.event_seq, deliveries_before.delivery_uuid)))
    $$;

-- migrate: rollback

DROP FUNCTION deliveries_before(text, text, text, text, bigint, uuid, boolean, bigint, text);
DROP FUNCTION is_released(boolean, boolean, bigint, bigint);

CREATE FUNCTION deliveries_before(program_id text, subscription_id text, publisher_event_id text,
                                  publisher_system_id text, event_seq bigint, delivery_uuid uuid) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT other.delivery_uuid FROM delivery AS other
         WHERE other.program_id = deliveries_before.program_id
           AND other.subscription_id = deliveries_before.subscription_id
           AND other.publisher_event_id = deliveries_before.publisher_event_id
           AND other.publisher_system_id = deliveries_before.publisher_system_id
           AND (other.state = 'sending' OR other.doubt_until_utc > now()
                OR (other.state IN ('waiting', 'retrying') AND NOT other.held
                    AND (other.event_seq, other.delivery_uuid)
                        < (deliveries_before.event_seq, deliveries_before.delivery_uuid)))
    $$;

DROP TABLE bulk_change;

DROP INDEX delivery_due_of_subscription, delivery_released, delivery_held;

ALTER TABLE delivery DROP COLUMN released_change;
ALTER TABLE subscription DROP COLUMN pending_change;
ALTER TABLE subscription DROP COLUMN change_number;
