-- The present schema of the Learning Hub's database. A database built from migrations/ is equal to it; a test compares
-- the two. PostgreSQL 15 or newer.
--
-- An event has a row in `event`, one in `delivery` for each subscription that it matches, and one in `attempt` for each
-- attempt to send it. Their keys all begin with program_id, so that each look-up concerns one Program: the tables can
-- be partitioned or distributed by it.
-- Times are timestamptz and mean UTC. JSON that must be kept to the character is json, never jsonb.

-- Programs: organisations whose learning is recorded. They own events, and API keys are limited to them.
CREATE TABLE program (
    program_id   text        PRIMARY KEY,
    name         text        NOT NULL,
    created_utc  timestamptz NOT NULL DEFAULT now(),
    archived_utc timestamptz,            -- since then it accepts no events

    CONSTRAINT program_id_form CHECK (program_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,24}$')
);

-- API keys. Only the SHA-256 of a key is stored: the key is random, so a slow hash would add nothing.
CREATE TABLE api_key (
    key_id        text        PRIMARY KEY,
    name          text        NOT NULL,
    key_hash      bytea       NOT NULL,
    programs      text[]      NOT NULL,   -- '{*}' is every Program
    scopes        text[]      NOT NULL,
    created_utc   timestamptz NOT NULL DEFAULT now(),
    expires_utc   timestamptz,
    revoked_utc   timestamptz,
    last_used_utc timestamptz,            -- written every few seconds, not with every request

    CONSTRAINT api_key_hash_is_sha256 CHECK (length(key_hash) = 32),
    CONSTRAINT api_key_scopes_known
        CHECK (scopes <@ ARRAY['publish', 'read', 'process', 'staff', 'admin']),
    CONSTRAINT api_key_admin_is_for_all CHECK (NOT 'admin' = ANY (scopes) OR programs = ARRAY['*'])
);

-- The epochs of the feed. Transaction ids order the feed within an epoch. A database that goes back in time hands them
-- out again, so a new epoch begins with each start of the server, and with each other history of the database
-- (learning_hub/store/epochs.py). The number is the time at which it began, in seconds since 2026, so that none is
-- handed out twice.
CREATE TABLE feed_epoch (
    epoch              int         PRIMARY KEY,
    system_identifier  text        NOT NULL,   -- of the cluster, from pg_control_system()
    began_utc          timestamptz NOT NULL DEFAULT now(),
    timeline           text,                   -- of the WAL; null for an epoch of an earlier hub
    server_started_utc timestamptz,            -- pg_postmaster_start_time(); null for an epoch of an earlier hub
    begun_xid          xid8,                   -- of the transaction that wrote the row; a copy has another xmin
    is_step_back       boolean     NOT NULL DEFAULT false   -- the database may lack what was stored before
);

CREATE SEQUENCE event_seq;

-- An id of a participant that has more than plain characters, for participant_key: without marks that nobody sees, with
-- the characters &'"<> for their references of HTML, and in lower case. Case is folded by these lists, because lower()
-- depends on the server's locale, on its version, and on how the server was built. It is no SQL function, so that the
-- lists are not copied into plans.
CREATE FUNCTION participant_folded(participant_id text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    BEGIN
        RETURN lower(translate(
            regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(participant_id COLLATE "C",
                '&(#0*39|#x0*27|apos);', '''', 'gi'), '&(#0*34|#x0*22|quot);', '"', 'gi'),
                '&(#0*60|#x0*3c|lt);', '<', 'gi'), '&(#0*62|#x0*3e|gt);', '>', 'gi'),
                '&(#0*38|#x0*26|amp);', '&', 'gi'),
            'µÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽſƁƂ'
            'ƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾ'
            'ɁɃɄɅɆɈɊɌɎͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫςϏϐϑϕϖϘϚϜϞϠϢϤϦϨϪϬϮϰϱϴϵϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕ'
            'ЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲ'
            'ӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶ'
            'ḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẛẞẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼ'
            'ỾＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ'
            || U&'\212A\212B\FEFF\200B\200C\200D\200E\200F\2060',
            'μàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžsɓƃ'
            'ƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦ'
            'ɂƀʉʌɇɉɋɍɏͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋσϗβθφπϙϛϝϟϡϣϥϧϩϫϭϯκρθεϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгде'
            'жзийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳ'
            'ӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷ'
            'ḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕṡßạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽ'
            'ỿａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ'
            || U&'k\00E5'));
    END
    $$;

-- A text that two ids of participants have in common if and only if they are the same person's: participant_key of
-- learning_hub/model/participant_id.py is the same rule. An id of which nothing would be left is its own key.
CREATE FUNCTION participant_key(participant_id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(nullif(regexp_replace(
               CASE WHEN octet_length(participant_id) = char_length(participant_id) AND strpos(participant_id, '&') = 0
                    THEN lower(participant_id COLLATE "C")
                    ELSE participant_folded(participant_id) END,
               E'^(mailto:|[\t-\r\x1c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])+'
               || E'|[\t-\r\x1c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$',
               '', 'g'), ''), participant_id);

-- Entries of the feed, append only: an event as it was stored, or its withdrawal, which is the event once more
-- with withdrawn_utc. The feed's order is (epoch, xid, seq), and a reader takes only entries whose transaction is
-- older than every transaction still open: sequence numbers are handed out before commit, so following them alone
-- would step over what commits late.
CREATE TABLE event (
    program_id               text        NOT NULL,
    event_uuid               uuid        NOT NULL,   -- EventId is E:{program_id}-{event_uuid}
    is_withdrawal            boolean     NOT NULL DEFAULT false,
    epoch                    int         NOT NULL,
    xid                      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    seq                      bigint      NOT NULL DEFAULT nextval('event_seq'),
    publisher_system_id      text        NOT NULL,
    publisher_event_id       text        NOT NULL,
    event_type               text        NOT NULL,
    version                  int         NOT NULL,   -- counts the entries of a source key: revisions and withdrawals
    revision                 int         NOT NULL,   -- counts only its revisions
    supersedes               uuid,                   -- the previous revision
    publisher_participant_id text        NOT NULL,
    category_value           text,
    category_label           text,
    data                     json        NOT NULL,   -- exactly as sent
    event_start_utc          timestamptz NOT NULL,
    event_end_utc            timestamptz,
    content_hash             bytea       NOT NULL,   -- of everything but the source key; equal content, equal hash
    created_utc              timestamptz NOT NULL,
    event_date               date        NOT NULL,   -- the day of created_utc in UTC; the bucket's name ends in it
    withdrawn_utc            timestamptz,

    PRIMARY KEY (program_id, event_uuid, is_withdrawal),
    -- If two writers want the same next version, one of them loses and classifies its event again.
    CONSTRAINT event_source_version
        UNIQUE (program_id, publisher_event_id, publisher_system_id, event_type, version),
    CONSTRAINT event_revision_counts_from_one CHECK (revision >= 1 AND version >= revision),
    CONSTRAINT event_first_supersedes_none CHECK ((revision = 1) = (supersedes IS NULL)),
    CONSTRAINT event_end_not_before_start CHECK (event_end_utc >= event_start_utc),
    CONSTRAINT event_withdrawal_has_time CHECK (is_withdrawal = (withdrawn_utc IS NOT NULL)),
    CONSTRAINT event_date_is_of_created CHECK (event_date = (created_utc AT TIME ZONE 'UTC')::date)
);

-- For reading a Program's feed, and for the process stage.
CREATE UNIQUE INDEX event_feed ON event (program_id, epoch, xid, seq);
-- For reading a date bucket.
CREATE INDEX event_bucket ON event (program_id, event_date, epoch, xid, seq);
-- For the events of one participant, in every spelling of the id.
CREATE INDEX event_participant_key
    ON event (program_id, participant_key(publisher_participant_id), epoch, xid, seq);

-- The responses to publishers' Idempotency-Keys, so that a repeated key gets the same response.
CREATE TABLE idempotency_key (
    program_id      text        NOT NULL,
    idempotency_key text        NOT NULL,
    request_hash    bytea       NOT NULL,   -- of the source key and the content
    status          smallint    NOT NULL,   -- 201 or 200
    event_uuid      uuid        NOT NULL,
    created_utc     timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (program_id, idempotency_key)
);

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

-- Systems that receive events, and how to reach them.
CREATE TABLE subscriber (
    subscriber_id   text        PRIMARY KEY,
    name            text        NOT NULL,
    connector       text        NOT NULL REFERENCES connector,
    settings        json        NOT NULL,
    credentials     bytea,                  -- encrypted (Fernet); never leaves the hub
    credentials_changed_utc timestamptz,    -- when an administrator last gave them
    credentials_checked_utc timestamptz,    -- when a check last found them valid
    max_concurrency int         NOT NULL DEFAULT 1,   -- deliveries under way at once, over all processes
    created_utc     timestamptz NOT NULL DEFAULT now(),
    changed_utc     timestamptz NOT NULL DEFAULT now(),
    archived_utc    timestamptz,

    CONSTRAINT subscriber_id_form CHECK (subscriber_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,24}$'),
    CONSTRAINT subscriber_sends_at_least_one CHECK (max_concurrency >= 1)
);

-- Paused subscribers, for all workers: they are away, ask to wait, or refuse the credentials.
CREATE TABLE subscriber_pause (
    subscriber_id       text        PRIMARY KEY REFERENCES subscriber,
    code                text        NOT NULL,   -- of the failure that began it, or of the last probe
    class               text        NOT NULL,
    message             text        NOT NULL,   -- a sentence for staff
    since_utc           timestamptz NOT NULL DEFAULT clock_timestamp(),
    probe_seconds       float8      NOT NULL,   -- between the previous probe and the next one
    next_probe_utc      timestamptz,            -- null: no probes until the credentials are fixed
    alarmed_utc         timestamptz,            -- when the long pause was logged for the operator
    denied_probes       smallint    NOT NULL DEFAULT 0 -- probes in a row that were denied a new token
);

-- Subscriptions: which events of a Program a subscriber gets, with the target and one template for each category.
CREATE TABLE subscription (
    subscription_id     text        PRIMARY KEY,
    name                text        NOT NULL,
    subscriber_id       text        NOT NULL REFERENCES subscriber,
    program_id          text        NOT NULL REFERENCES program,
    publisher_system_id text,                -- null: every system
    event_types         text[]      NOT NULL,
    target              json        NOT NULL,
    target_changed_utc  timestamptz NOT NULL DEFAULT now(),  -- records sent before it are at another target
    templates           json        NOT NULL, -- by category value or _default; a null template turns the category off
    on_withdraw         text        NOT NULL DEFAULT 'keep',
    on_reopened         text        NOT NULL DEFAULT 'ignore',
    schedule            text        NOT NULL DEFAULT 'realtime',  -- realtime, manual, or a cron expression
    time_zone           text        NOT NULL DEFAULT 'UTC',       -- of the cron expression
    scheduled_utc       timestamptz NOT NULL DEFAULT now(),  -- since then it is started with this schedule
    state               text        NOT NULL DEFAULT 'started',
    start_from          text        NOT NULL DEFAULT 'now',       -- now, beginning, or an RFC 3339 time
    -- The snapshot when the subscription was created with StartFrom now; exactly the entries visible in it are left
    -- out.
    start_epoch         int         NOT NULL,
    start_snapshot      pg_snapshot NOT NULL,
    created_utc         timestamptz NOT NULL DEFAULT now(),
    changed_utc         timestamptz NOT NULL DEFAULT now(),
    archived_utc        timestamptz,
    change_number       bigint      NOT NULL DEFAULT 0,  -- counts its stops, starts and archivings
    pending_change      text,            -- what its deliveries do not all follow yet: stop, start or archive

    CONSTRAINT subscription_id_form CHECK (subscription_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,24}$'),
    CONSTRAINT subscription_on_withdraw_known CHECK (on_withdraw IN ('keep', 'remove')),
    CONSTRAINT subscription_on_reopened_known CHECK (on_reopened IN ('ignore', 'remove')),
    CONSTRAINT subscription_state_known CHECK (state IN ('started', 'stopped')),
    CONSTRAINT subscription_pending_change_known CHECK (pending_change IN ('stop', 'start', 'archive'))
);

CREATE INDEX subscription_program ON subscription (program_id);

-- Checkpoints: the position up to which each subscription has read its Program's feed. This is a separate table, so
-- that reading on and an administrator's change do not wait for each other.
CREATE TABLE subscription_checkpoint (
    subscription_id text   PRIMARY KEY REFERENCES subscription,
    epoch           int    NOT NULL,
    xid             xid8   NOT NULL,
    seq             bigint NOT NULL
);

-- The name of subscription_checkpoint in the first release, for processes of that release that run during an upgrade.
-- The next release drops it.
CREATE VIEW subscription_place AS SELECT subscription_id, epoch, xid, seq FROM subscription_checkpoint;

-- The time up to which the cron expression of each subscription has run. This is a separate table, so that a run and an
-- administrator's change do not wait for each other.
CREATE TABLE subscription_tick (
    subscription_id text        PRIMARY KEY REFERENCES subscription,
    done_utc        timestamptz NOT NULL,   -- set when the deliveries of its run are gathered and released
    run_id          text                    -- the run that was begun last; only it may move done_utc
);

-- The signature of a failure: the code, and the message without the parts that differ between events with the same
-- cause. Removed are quoted values, e-mail addresses, UUIDs, numbers, times, and ids with three digits in a row or of
-- hexadecimal digits. Kept are column names such as UF_3, the status of an iMIS response, the names of missing values
-- (data['Credits']), and the exact place of a template error.
CREATE FUNCTION failure_signature(code text, message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr(md5(
        code || ' '
        || regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
               CASE WHEN code = 'template_error' THEN regexp_replace(message, ' \(at .*\)$', '') ELSE message END,
               '"(?:[^"\\…]|\\.)*["…]|“[^”]*”|‘[^’]*’|«[^»]*»|(?<![\w[])''[^'']*''(?!\w)', '#', 'g'),
               '[^\s<>(),;:]+@[^\s<>(),;:]+', '#', 'g'),
               '\m[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\M', '#', 'g'),
               '(?<!\w|answered )\d\w*|(?<!answered )\m\w*\d{3,}\w*\M|\m(?=[A-Fa-f]*\d)[0-9A-Fa-f]{6,}\M', '#', 'g'),
               '#(?:\W{1,3}#)+', '#', 'g')
        || CASE WHEN code = 'template_error' THEN coalesce(substring(message FROM '.*( \(at .*\))$'), '') ELSE '' END),
        1, 12);

-- The signature of a delivery that was skipped because its category has no template: equal for deliveries of one
-- category; null for any other delivery. It is taken from the beginning of the message, up to the quoted category,
-- because the rest changes with the subscription's templates.
CREATE FUNCTION no_template_signature(state text, code text, message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN state = 'skipped' AND code = 'no_template'
                THEN substr(md5(code || ' ' || coalesce(substring(message FROM '^[^"]*"(?:[^"\\]|\\.)*"'),
                                                        substring(message FROM '^[^,.]*'), '')), 1, 12) END;

-- Deliveries: one event that is to be sent for one subscription.
--
-- waiting -> sending -> delivered, or retrying -> sending ..., or parked; skipped, superseded and discarded deliveries
-- are not sent. The statements that write `state` are in learning_hub/store/delivery_transitions.sql, in the order of a
-- delivery's life; docs/reference/delivery-states.md shows all transitions.
CREATE TABLE delivery (
    program_id           text        NOT NULL,
    delivery_uuid        uuid        NOT NULL,   -- DeliveryId is {program_id}-{delivery_uuid}
    subscription_id      text        NOT NULL,
    subscriber_id        text        NOT NULL,
    event_uuid           uuid        NOT NULL,
    event_seq            bigint      NOT NULL,   -- the order among deliveries of one source record
    publisher_system_id  text        NOT NULL,
    publisher_event_id   text        NOT NULL,   -- with the system: the source record
    event_type           text        NOT NULL,   -- with the source record: the source key
    action               text        NOT NULL DEFAULT 'send',
    is_replay            boolean     NOT NULL DEFAULT false,
    state                text        NOT NULL,
    code                 text,                   -- the reason of its state; docs/reference/errors.md lists them
    class                text,                   -- who is responsible for the next step
    message              text,                   -- the reason as a sentence for staff
    failing_since_utc    timestamptz,            -- the first failure since it was put into the queue
    failed_utc           timestamptz,            -- the last failure
    -- The signature, equal for failures with the same cause.
    signature            text GENERATED ALWAYS AS (
        CASE WHEN state IN ('retrying', 'parked') THEN failure_signature(code, message) END) STORED,
    held                 boolean     NOT NULL DEFAULT false,  -- of a stopped or manual subscription: waits for a run
    released             boolean     NOT NULL DEFAULT false,  -- a run or a person released it, whatever the schedule is
    due_utc              timestamptz,            -- when it may be sent next
    attempts             int         NOT NULL DEFAULT 0,
    tries_used           int         NOT NULL DEFAULT 0,      -- steps of the retry schedule since it was requeued
    in_doubt             boolean     NOT NULL DEFAULT false,  -- a failed attempt may have written a record
    doubt_until_utc      timestamptz,            -- until then an attempt may still be carried out
    lease_id             uuid,                   -- the lease that a completion must name
    lease_until_utc      timestamptz,            -- then the outcome is unknown, and it is due again
    lease_worker         bigint,                 -- number of its worker's liveness lock
    created_utc          timestamptz NOT NULL DEFAULT now(),
    state_utc            timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when its state was last changed
    delivered_utc        timestamptz,
    confirmed_utc        timestamptz,            -- when its record was read back from the subscriber
    subscriber_record_id text,                   -- the record id at the subscriber
    released_change      bigint      NOT NULL DEFAULT 0,  -- change_number of its subscription when it was released

    PRIMARY KEY (program_id, delivery_uuid),
    CONSTRAINT delivery_action_known CHECK (action IN ('send', 'remove')),
    CONSTRAINT delivery_state_known CHECK (state IN ('waiting', 'sending', 'delivered', 'retrying', 'parked',
                                                     'skipped', 'superseded', 'discarded')),
    CONSTRAINT delivery_class_known CHECK (class IN ('data', 'mapping', 'identity', 'refused', 'unavailable', 'hub')),
    CONSTRAINT delivery_pending_has_due CHECK ((state IN ('waiting', 'retrying')) = (due_utc IS NOT NULL)),
    CONSTRAINT delivery_sending_has_lease
        CHECK ((state = 'sending') = (lease_id IS NOT NULL) AND (lease_id IS NULL) = (lease_until_utc IS NULL)
               AND (lease_worker IS NULL OR lease_id IS NOT NULL)),
    CONSTRAINT delivery_delivered_has_time CHECK ((state = 'delivered') = (delivered_utc IS NOT NULL)),
    CONSTRAINT delivery_trouble_has_reason
        CHECK (state NOT IN ('retrying', 'parked') OR (code IS NOT NULL AND class IS NOT NULL AND message IS NOT NULL))
);

-- Many statements change the state; the trigger ensures that each also writes the time.
--
-- The trigger refuses no transition, although all are listed (learning_hub/model/delivery_transitions.py). A claim or a
-- completion changes many deliveries of many subscribers in one statement: one refused row would undo all of them, and
-- would do so again with every repetition. The tests refuse unlisted transitions instead.
CREATE FUNCTION note_delivery_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.state_utc := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TRIGGER delivery_state_moved BEFORE UPDATE OF state ON delivery
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_delivery_state();

-- One delivery for an event and a subscription, however often the event is gathered; a replay is a new one.
CREATE UNIQUE INDEX delivery_once ON delivery (program_id, subscription_id, event_uuid, action) WHERE NOT is_replay;
-- At most one delivery of a source record is being sent for a subscription.
CREATE UNIQUE INDEX delivery_one_at_a_time
    ON delivery (program_id, subscription_id, publisher_event_id, publisher_system_id) WHERE state = 'sending';
-- For the order within a source record, and for finding its record at the subscriber.
CREATE INDEX delivery_record
    ON delivery (program_id, subscription_id, publisher_event_id, publisher_system_id, event_seq);
-- For finding the next delivery that may be sent to a subscriber, the longest due first.
CREATE INDEX delivery_due ON delivery (subscriber_id, due_utc) WHERE state IN ('waiting', 'retrying') AND NOT held;
-- For claiming: the same for a subscription. A million deliveries of a stopped one cost the claims of others nothing.
CREATE INDEX delivery_due_of_subscription ON delivery (subscription_id, due_utc)
    WHERE state IN ('waiting', 'retrying') AND NOT held;
-- For claiming released deliveries of a subscription that does not send by itself.
CREATE INDEX delivery_released ON delivery (subscription_id, released_change, due_utc)
    WHERE state IN ('waiting', 'retrying') AND NOT held AND released;
-- For releasing and discarding held deliveries in batches.
CREATE INDEX delivery_held ON delivery (subscription_id, delivery_uuid) WHERE held;
-- For counting deliveries that are being sent, and for finding expired leases.
CREATE INDEX delivery_sending ON delivery (subscriber_id, lease_until_utc) WHERE state = 'sending';
-- For finding the rows of a contact that belong to other source records, if a panel has no column for the record key.
CREATE INDEX delivery_row ON delivery (subscriber_id, subscriber_record_id COLLATE "C")
    WHERE subscriber_record_id COLLATE "C" >= '~' AND subscriber_record_id COLLATE "C" < '~~';
-- Lists are newest first. Each filter that may select few of many deliveries has an index in that order.
-- For the deliveries of an event.
CREATE INDEX delivery_event ON delivery (program_id, event_uuid, delivery_uuid);
-- For the deliveries of a subscription.
CREATE INDEX delivery_subscription ON delivery (program_id, subscription_id, delivery_uuid);
-- For listing deliveries that are not final.
CREATE INDEX delivery_open ON delivery (program_id, state, delivery_uuid)
    WHERE state IN ('waiting', 'sending', 'retrying', 'parked');
-- For listing deliveries that will not be sent.
CREATE INDEX delivery_unsent ON delivery (program_id, state, delivery_uuid)
    WHERE state IN ('skipped', 'superseded', 'discarded');
-- For listing deliveries by code, or by responsible party.
CREATE INDEX delivery_code ON delivery (program_id, code, delivery_uuid) WHERE code IS NOT NULL;
CREATE INDEX delivery_class ON delivery (program_id, class, delivery_uuid) WHERE class IS NOT NULL;
-- For grouping failures by signature, and listing the failures of one group.
CREATE INDEX delivery_signature ON delivery (program_id, signature, delivery_uuid) WHERE signature IS NOT NULL;

-- Attempts of deliveries: the request and the response, without secrets. The row is written before anything is sent, so
-- that an attempt whose worker died leaves a trace.
CREATE TABLE attempt (
    program_id    text        NOT NULL,
    delivery_uuid uuid        NOT NULL,
    number        int         NOT NULL,
    started_utc   timestamptz NOT NULL,
    sent_utc      timestamptz,              -- written before sending, if the subscriber cannot be asked later
    ended_utc     timestamptz,              -- null while it is under way
    code          text,                     -- null: it succeeded, or is under way
    message       text,
    payload       json,                     -- the result of the template
    request       json,                     -- {"Method", "Url", "Headers", "Body"}
    response      json,                     -- {"Status", "Headers", "Body"}

    PRIMARY KEY (program_id, delivery_uuid, number)
);

-- Runs of the process stage over a selection of events.
CREATE TABLE run (
    run_id       text        PRIMARY KEY,
    program_id   text        NOT NULL,
    trigger      text        NOT NULL,      -- processEvents, run, cron, or the kind of a bulk change
    request      json        NOT NULL,      -- the request
    requested_by text        NOT NULL,
    gatherer     bigint,                    -- number of its process's liveness lock
    state        text        NOT NULL DEFAULT 'running',
    counts       json,                      -- set when it has finished
    message      text,
    started_utc  timestamptz NOT NULL DEFAULT now(),
    gathered_utc timestamptz,               -- when all its deliveries had been gathered
    finished_utc timestamptz,

    CONSTRAINT run_state_known CHECK (state IN ('running', 'finished', 'failed')),
    CONSTRAINT run_finished_has_time CHECK ((state = 'running') = (finished_utc IS NULL))
);

CREATE INDEX run_program ON run (program_id, run_id);
-- For closing runs whose process is gone.
CREATE INDEX run_running ON run (started_utc) WHERE state = 'running';

-- The deliveries of a run.
CREATE TABLE run_delivery (
    program_id    text    NOT NULL,
    run_id        text    NOT NULL REFERENCES run ON DELETE CASCADE,
    delivery_uuid uuid    NOT NULL,
    was_delivered boolean NOT NULL,         -- delivered before the run began: counts as unchanged

    PRIMARY KEY (program_id, run_id, delivery_uuid)
);

-- Changes of many deliveries that are still being carried out, in batches. Each is a run of its own; a batch and the
-- position after it are committed together, so that any process goes on where another one was killed.
CREATE TABLE bulk_change (
    run_id          text        PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    kind            text        NOT NULL,
    subscription_id text,                   -- of a stop, start or archive
    change_number   bigint,                 -- of the subscription; after a later change this one ends
    filter          json        NOT NULL DEFAULT '{}',  -- of a requeue or discard
    reason          text,                   -- of a discard
    began_utc       timestamptz NOT NULL DEFAULT clock_timestamp(),
    after_uuid      uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    after_due_utc   timestamptz,
    total           bigint,                 -- deliveries that it concerned when it began; null: not counted yet
    waiting         bigint      NOT NULL DEFAULT 0,     -- deliveries changed so far, by their new state
    superseded      bigint      NOT NULL DEFAULT 0,
    discarded       bigint      NOT NULL DEFAULT 0,

    CONSTRAINT bulk_change_kind_known CHECK (kind IN ('stop', 'start', 'archive', 'requeue', 'discard')),
    CONSTRAINT bulk_change_scope CHECK (
        CASE WHEN kind IN ('requeue', 'discard') THEN change_number IS NULL
             ELSE subscription_id IS NOT NULL AND change_number IS NOT NULL END)
);

-- The id of a publisher's participant at a subscriber.
CREATE TABLE participant (
    subscriber_id             text        NOT NULL REFERENCES subscriber,
    program_id                text        NOT NULL,
    publisher_system_id       text        NOT NULL,   -- '' is every system
    publisher_participant_id  text        NOT NULL,
    subscriber_participant_id text        NOT NULL,
    settled_by                text,                   -- who matched it; null: it was looked up
    changed_utc               timestamptz NOT NULL DEFAULT now(),
    expires_utc               timestamptz,            -- null: never, until it is changed

    PRIMARY KEY (subscriber_id, program_id, publisher_participant_id, publisher_system_id)
);

-- For a participant in every spelling of the id. It is not unique, because rows of several spellings may be there from
-- before spellings were compared, and look-ups of two spellings may end at the same moment.
CREATE INDEX participant_by_key
    ON participant (subscriber_id, program_id, participant_key(publisher_participant_id), publisher_system_id);

-- The audit log: changes by people and programs with an admin or staff key. It holds no secrets.
CREATE TABLE audit (
    audit_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_utc      timestamptz NOT NULL DEFAULT now(),
    key_id      text        NOT NULL,       -- 'admin' for the key from the settings, 'cli' for the command line
    key_name    text        NOT NULL,
    action      text        NOT NULL,       -- create, update, archive, revoke, requeue, discard, settle, forget
    object_type text        NOT NULL,       -- program, key, subscriber, subscription, delivery, participant, panel
    object_id   text        NOT NULL,
    before      json,
    after       json
);

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
