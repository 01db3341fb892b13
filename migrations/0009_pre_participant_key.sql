-- One key for all spellings of a participant's id, and the indexes by it.
-- depends: 0002_pre_delivery_rules
-- transaction: false

-- migrate: apply

-- The index of events is built outside a transaction, so that publishers and readers go on meanwhile; it takes some
-- seconds for each million events. Every statement can be repeated, for a migration that was interrupted.
SET lock_timeout = '5s';
SET statement_timeout = '60s';

-- An id of a participant that has more than plain characters, for participant_key: without marks that nobody sees, with
-- the characters &'"<> for their references of HTML, and in lower case. Case is folded by these lists, because lower()
-- depends on the server's locale, on its version, and on how the server was built. It is no SQL function, so that the
-- lists are not copied into plans.
CREATE OR REPLACE FUNCTION participant_folded(participant_id text) RETURNS text
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
CREATE OR REPLACE FUNCTION participant_key(participant_id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(nullif(regexp_replace(
               CASE WHEN octet_length(participant_id) = char_length(participant_id) AND strpos(participant_id, '&') = 0
                    THEN lower(participant_id COLLATE "C")
                    ELSE participant_folded(participant_id) END,
               E'^(mailto:|[\t-\r\x1c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])+'
               || E'|[\t-\r\x1c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$',
               '', 'g'), ''), participant_id);

CREATE INDEX IF NOT EXISTS participant_by_key
    ON participant (subscriber_id, program_id, participant_key(publisher_participant_id), publisher_system_id);

SET statement_timeout = 0;

-- Indexes of partitioned tables (bench/partitions.sql) cannot be built concurrently, so this one is built here while
-- publishers wait. An empty temporary table then takes the place of `event` in the statements below.
DO $$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'event'::regclass) = 'p' THEN
        CREATE INDEX IF NOT EXISTS event_participant_key
            ON event (program_id, participant_key(publisher_participant_id), epoch, xid, seq);
        DROP INDEX IF EXISTS event_participant;
        CREATE TEMP TABLE event (LIKE event);
    ELSE
        -- It is there only if building it was interrupted.
        DROP INDEX IF EXISTS event_participant_key;
    END IF;
END
$$;

SET lock_timeout = '60s';
CREATE INDEX CONCURRENTLY event_participant_key
    ON event (program_id, participant_key(publisher_participant_id), epoch, xid, seq);
DROP INDEX CONCURRENTLY IF EXISTS event_participant;
DROP TABLE IF EXISTS pg_temp.event;

RESET lock_timeout;
RESET statement_timeout;

-- migrate: rollback

SET lock_timeout = '5s';
SET statement_timeout = '60s';

CREATE INDEX IF NOT EXISTS event_participant ON event (program_id, publisher_participant_id, epoch, xid, seq);
DROP INDEX IF EXISTS event_participant_key, participant_by_key;
DROP FUNCTION IF EXISTS participant_key, participant_folded;

RESET lock_timeout;
RESET statement_timeout;
