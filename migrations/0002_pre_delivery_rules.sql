-- The rules of deliveries as functions, the kinds of subscribers as rows, and the checkpoint under that name.
-- depends: 0001_pre_first_release

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Kinds of subscribers, with the capabilities that statements use. A row holds what the connector declares in KINDS of
-- learning_hub/connectors/kinds.py; each hub process writes it when it starts (learning_hub/store/connectors.py).
CREATE TABLE connector (
    name           text    PRIMARY KEY,
    one_record_for text    NOT NULL,   -- source_record: all event types of a source record share one record;
                                       -- source_key: each event type of a source record has a record of its own
    sends_batches  boolean NOT NULL,   -- many deliveries go into one request
    key_fields     jsonb   NOT NULL,   -- by Kind of Target: its field that names the column for the record key

    CONSTRAINT connector_one_record_for_known CHECK (one_record_for IN ('source_record', 'source_key'))
);

INSERT INTO connector (name, one_record_for, sends_batches, key_fields)
VALUES ('imis', 'source_record', false, '{"panel": "KeyProperty"}'), ('learningbuilder', 'source_record', true, '{}'),
       ('webhook', 'source_key', false, '{}');

-- The check is fast, because subscribers are few.
ALTER TABLE subscriber DROP CONSTRAINT subscriber_connector_known;
ALTER TABLE subscriber ADD CONSTRAINT subscriber_connector_fkey FOREIGN KEY (connector) REFERENCES connector;

ALTER TABLE subscription_place RENAME TO subscription_checkpoint;

-- The existing names depend on the server version: PostgreSQL 18 also names NOT NULL constraints.
DO $$
DECLARE
    old text;
BEGIN
    FOR old IN SELECT conname FROM pg_constraint
                WHERE conrelid = 'subscription_checkpoint'::regclass AND starts_with(conname, 'subscription_place') LOOP
        EXECUTE format('ALTER TABLE subscription_checkpoint RENAME CONSTRAINT %I TO %I', old,
                       replace(old, 'subscription_place', 'subscription_checkpoint'));
    END LOOP;
END
$$;

-- Processes of the first release read and write checkpoints through this view.
CREATE VIEW subscription_place AS SELECT subscription_id, epoch, xid, seq FROM subscription_checkpoint;

-- The rules of deliveries
--
-- Each rule that several statements need is defined here once. The planner inlines these functions, so that a rule
-- costs no more than its text. It inlines a scalar function because it is only an expression. It inlines a function
-- over other rows because it is a single SELECT that returns a set, is used in FROM, and is STABLE and not STRICT.
-- tests/integration/test_claim_plan.py checks the plans. Bodies are strings and arguments are single values, so that no
-- function depends on a table that an operator replaces (bench/partitions.sql).

-- Whether an event of this type says that its source record was reopened; REOPENED of learning_hub/model/event.py.
CREATE FUNCTION is_reopening(event_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN event_type IN ('AI_REOPENED', 'LPI_REOPENED');

-- Whether a subscription sends without a run; in any other, only released deliveries are sent.
CREATE FUNCTION sends_by_itself(subscription_state text, schedule text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN subscription_state = 'started' AND schedule = 'realtime';

-- Whether a delivery may have written a row at a target that names no column for the record key, although its Kind has
-- a field for that in connector.key_fields. The row can be found again only by the delivery's own values, so no
-- undelivered delivery may supersede this one. Kind.is_keyless of learning_hub/connectors/kind.py is the same rule.
CREATE FUNCTION may_have_left_keyless_row(in_doubt boolean, target json, key_fields jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN in_doubt AND key_fields ->> (target ->> 'Kind') IS NOT NULL
           AND target ->> (key_fields ->> (target ->> 'Kind')) IS NULL;

-- Whether a delivery was skipped for a reason that may pass: its event may get a template, or the reopening of its
-- source record may be withdrawn.
CREATE FUNCTION is_skipped_for_now(state text, code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN state = 'skipped' AND code IN ('no_template', 'category_off', 'reopened');

-- Whether processing the event again takes a delivery up again. It does if the delivery was skipped for a reason that
-- may pass, or discarded because its subscription was archived: a subscription that processes events is no longer
-- archived.
CREATE FUNCTION may_be_processed_again(state text, code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN is_skipped_for_now(state, code) OR state = 'discarded' AND code = 'archived';

-- The precedence of rows of `participant`: a match before a look-up, a row for one system before a row for every
-- system.
CREATE FUNCTION participant_precedence(settled_by text, publisher_system_id text) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN settled_by IS NULL THEN 2 ELSE 0 END + CASE WHEN publisher_system_id = '' THEN 1 ELSE 0 END;

-- The withdrawal of an event, if there is one.
CREATE FUNCTION withdrawal_of(program_id text, event_uuid uuid) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT event.event_uuid FROM event
         WHERE event.program_id = withdrawal_of.program_id AND event.event_uuid = withdrawal_of.event_uuid
           AND event.is_withdrawal
    $$;

-- Reopenings of a source record after an event, if they remove the record that the subscription sent: the
-- subscription's on_reopened says so, and it does not send the reopenings themselves. Withdrawn reopenings do not
-- count.
CREATE FUNCTION reopenings_after(program_id text, subscription_id text, publisher_event_id text,
                                 publisher_system_id text, event_seq bigint) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT event.event_uuid
          FROM subscription
          JOIN event ON event.program_id = reopenings_after.program_id
         WHERE subscription.subscription_id = reopenings_after.subscription_id AND subscription.on_reopened = 'remove'
           AND event.publisher_event_id = reopenings_after.publisher_event_id
           AND event.publisher_system_id = reopenings_after.publisher_system_id
           AND is_reopening(event.event_type) AND event.event_type <> ALL (subscription.event_types)
           AND event.seq > reopenings_after.event_seq
           AND NOT EXISTS (SELECT FROM withdrawal_of(event.program_id, event.event_uuid))
    $$;

-- Why a delivery must no longer send its event, whatever else was sent: `withdrawn` or `reopened`; null or no row if it
-- may.
CREATE FUNCTION reason_not_to_send(program_id text, subscription_id text, publisher_event_id text,
                                   publisher_system_id text, event_uuid uuid, event_seq bigint, action text)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT CASE WHEN EXISTS (SELECT FROM withdrawal_of(reason_not_to_send.program_id,
                                                           reason_not_to_send.event_uuid))
                    THEN 'withdrawn'
                    WHEN EXISTS (SELECT FROM reopenings_after(reason_not_to_send.program_id,
                                                              reason_not_to_send.subscription_id,
                                                              reason_not_to_send.publisher_event_id,
                                                              reason_not_to_send.publisher_system_id,
                                                              reason_not_to_send.event_seq))
                    THEN 'reopened' END
         WHERE reason_not_to_send.action = 'send'
    $$;

-- The deliveries that block a delivery: those of the same source record that are being sent or may still be carried
-- out, and older ones that are neither final, parked nor held.
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

-- Newer deliveries that were delivered into the same record, so that sending this delivery would overwrite newer data
-- with older. They are of the same source key or, if all event types share a record, of the same source record. For a
-- delivery that sends, a removal of another event type counts only if a reopening caused it, not if that event was
-- withdrawn.
CREATE FUNCTION newer_delivered(program_id text, subscription_id text, publisher_event_id text,
                                publisher_system_id text, event_seq bigint, event_type text, action text,
                                one_record_for text) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT newer.delivery_uuid FROM delivery AS newer
         WHERE newer.program_id = newer_delivered.program_id
           AND newer.subscription_id = newer_delivered.subscription_id
           AND newer.publisher_event_id = newer_delivered.publisher_event_id
           AND newer.publisher_system_id = newer_delivered.publisher_system_id
           AND newer.event_seq > newer_delivered.event_seq AND newer.state = 'delivered'
           AND (newer.event_type = newer_delivered.event_type
                OR newer_delivered.one_record_for = 'source_record'
                   AND (newer.action = 'send' OR newer_delivered.action = 'remove' OR is_reopening(newer.event_type)))
    $$;

-- Newer revisions of a delivery's source key that were sent, are being sent or will be sent. They supersede an unsent
-- delivery, unless it may have written a keyless row.
CREATE FUNCTION superseding_revisions(program_id text, subscription_id text, publisher_event_id text,
                                      publisher_system_id text, event_seq bigint, event_type text, in_doubt boolean,
                                      target json, key_fields jsonb) RETURNS SETOF uuid
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    AS $$
        SELECT newer.delivery_uuid FROM delivery AS newer
         WHERE newer.program_id = superseding_revisions.program_id
           AND newer.subscription_id = superseding_revisions.subscription_id
           AND newer.publisher_event_id = superseding_revisions.publisher_event_id
           AND newer.publisher_system_id = superseding_revisions.publisher_system_id
           AND newer.event_seq > superseding_revisions.event_seq
           AND newer.event_type = superseding_revisions.event_type
           AND newer.action = 'send' AND newer.state IN ('waiting', 'retrying', 'sending', 'delivered')
           AND NOT may_have_left_keyless_row(superseding_revisions.in_doubt, superseding_revisions.target,
                                             superseding_revisions.key_fields)
    $$;

-- migrate: rollback

DROP FUNCTION is_reopening, sends_by_itself, may_have_left_keyless_row, is_skipped_for_now, may_be_processed_again,
              participant_precedence, withdrawal_of, reopenings_after, reason_not_to_send, deliveries_before,
              newer_delivered, superseding_revisions;

DROP VIEW subscription_place;

DO $$
DECLARE
    new text;
BEGIN
    FOR new IN SELECT conname FROM pg_constraint
                WHERE conrelid = 'subscription_checkpoint'::regclass LOOP
        EXECUTE format('ALTER TABLE subscription_checkpoint RENAME CONSTRAINT %I TO %I', new,
                       replace(new, 'subscription_checkpoint', 'subscription_place'));
    END LOOP;
END
$$;

ALTER TABLE subscription_checkpoint RENAME TO subscription_place;

ALTER TABLE subscriber DROP CONSTRAINT subscriber_connector_fkey;
ALTER TABLE subscriber ADD CONSTRAINT subscriber_connector_known
    CHECK (connector IN ('imis', 'learningbuilder', 'webhook'));

DROP TABLE connector;
