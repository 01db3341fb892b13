"""
The process stage: makes deliveries from events.

- `enqueuer`: reads the feed for every subscription and makes the deliveries of new entries.
- `runner`: begins runs, waits for them and closes them; `gathering` makes the deliveries of a run, for the events of an
  `event_selection`.
- `scheduler`: begins a run for each time of a cron expression.
- `bulk_changer`: carries out changes of many deliveries, batch by batch.
- `run_log`: the log of a run as human-readable lines.
"""
