-- The groups of deliveries that were skipped because their category has no template.
-- depends: 0002_pre_delivery_rules

-- migrate: apply

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The signature of a delivery that was skipped because its category has no template: equal for deliveries of one
-- category; null for any other delivery. It is taken from the beginning of the message, up to the quoted category,
-- because the rest changes with the subscription's templates.
CREATE FUNCTION no_template_signature(state text, code text, message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN state = 'skipped' AND code = 'no_template'
                THEN substr(md5(code || ' ' || coalesce(substring(message FROM '^[^"]*"(?:[^"\\]|\\.)*"'),
                                                        substring(message FROM '^[^,.]*'), '')), 1, 12) END;

-- migrate: rollback

DROP FUNCTION no_template_signature;
