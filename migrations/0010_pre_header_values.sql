-- Values of webhook headers, which the first versions wrote to the audit log.
-- depends: 0009_pre_participant_key

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Each value becomes null, as in what is shown of a subscriber. The values that the table subscriber holds are encrypted
-- by the hub when it starts, because only the hub has the keys.
UPDATE audit
   SET before = CASE WHEN json_typeof(before #> '{Settings,Headers}') = 'object' THEN
                jsonb_set(before::jsonb, '{Settings,Headers}',
                          (SELECT coalesce(jsonb_object_agg(name, NULL), '{}')
                             FROM jsonb_object_keys(before::jsonb #> '{Settings,Headers}') AS name))::json
                ELSE before END,
       after  = CASE WHEN json_typeof(after #> '{Settings,Headers}') = 'object' THEN
                jsonb_set(after::jsonb, '{Settings,Headers}',
                          (SELECT coalesce(jsonb_object_agg(name, NULL), '{}')
                             FROM jsonb_object_keys(after::jsonb #> '{Settings,Headers}') AS name))::json
                ELSE after END
 WHERE object_type = 'subscriber' AND coalesce(after, before) ->> 'Connector' = 'webhook'
   AND EXISTS (SELECT FROM (VALUES (before), (after)) AS entry (settings),
                           json_each_text(CASE WHEN json_typeof(entry.settings #> '{Settings,Headers}') = 'object'
                                               THEN entry.settings #> '{Settings,Headers}' ELSE '{}' END) AS header
                WHERE header.value IS NOT NULL);

-- migrate: rollback

-- The values are not written back.
SELECT 1;
