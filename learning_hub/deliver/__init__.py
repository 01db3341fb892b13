"""
From a delivery to a completed attempt.

The modules in the order in which a delivery passes them:

- `worker`: claims deliveries that are due, as many at once as there is capacity for.
- `attempt`: makes one attempt with the modules below.
- `delivery_context`: the event, the subscription, the subscriber, and a connector (`connections`).
- `record_preparation`: the outbound record, made with `participant_lookup`, `payload_renderer` (which fills
  `template_variables`) and `sibling_rows`.
- The connector sends it; `batches` sends the records of a subscription together where a subscriber takes many at once.
  `attempt_recorder` keeps the exchanges.
- `outcome_policy`: from the connector's outcome to the completion, with `model.retry` and `model.circuit_breaker`.
- `completions`: stores completions, many in one transaction.

Beside that road: `preview` and `dry_run` render without sending, `discovery` asks a subscriber for its targets, and
`reconciliation` compares what was sent with what a subscriber holds.
"""
