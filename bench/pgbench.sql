-- One event, as the hub stores it. The statement has no name, because pgbench reads this file.
\set number random(1, 9000000000000000000)
INSERT INTO event (program_id, event_uuid, epoch, publisher_system_id, publisher_event_id, event_type, version, revision,
                   publisher_participant_id, category_value, category_label, data, event_start_utc, content_hash,
                   created_utc, event_date)
VALUES ('BENCH', uuidv7(), 1, 'TopClass', 'pgbench:' || :number, 'AI_COMP_SUCCESS', 1, 1, 'robin.vale@example.org',
        'Online', 'Online course',
        '{"Activity Code": "FIRE-201", "Activity Title": "Fire safety refresher", '
        '"Completion Date": "2026-11-20T15:20:00Z", "Credits": 1.5, "Credit Type Code": "CPD"}',
        '2026-11-20T14:00:00Z', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
        now(), (now() AT TIME ZONE 'UTC')::date);
