"""
Every code a problem can have, with its meaning and the caller's remedy.

The page at /schema shows them, and docs/reference/errors.md repeats them; tests compare the three.
"""

from __future__ import annotations

import msgspec


class ProblemKind(msgspec.Struct, frozen=True):
    """A code: its HTTP *status*, what it means, and the remedy. Texts are Markdown with nothing but code marks."""

    status: int
    meaning: str
    remedy: str


PROBLEM_KINDS: dict[str, ProblemKind] = {
    "invalid_fields": ProblemKind(
        400,
        "Some fields, parameters or headers are wrong, unknown or missing; `errors` names each.",
        "Fix them and send again.",
    ),
    "invalid_input": ProblemKind(
        400,
        "The request cannot be used; `detail` says why.",
        "Fix it and send again.",
    ),
    "invalid_json": ProblemKind(
        400,
        "A JSON text within the request is not well-formed; `detail` says where.",
        "Fix it and send again.",
    ),
    "malformed_json": ProblemKind(
        400,
        "The body is not well-formed JSON, or is not an object where an object is required; `detail` says where.",
        "Fix it and send again.",
    ),
    "malformed_request": ProblemKind(
        400,
        "The request is not valid HTTP: its method, address, headers or chunks cannot be read, or the address is too "
        "long.",
        "Percent-encode the address; check any proxy between the caller and the hub.",
    ),
    "body_too_slow": ProblemKind(
        408,
        "The body stood still for 30 seconds, or came slower than 1 KiB a second (a batch: 16 KiB) after the first 30.",
        "Send again, over a better connection or in smaller parts.",
    ),
    "body_broke_off": ProblemKind(
        400,
        "The connection ended before the whole body arrived.",
        "Send again.",
    ),
    "body_not_taken": ProblemKind(
        400,
        "The operation takes no body, and the request has one that is not empty.",
        "Use query parameters where the operation has them; leave the body out, or send `{}`.",
    ),
    "data_refused": ProblemKind(
        400,
        "The database does not accept these data.",
        "Report it to the operator: the hub should have named the field.",
    ),
    "template_error": ProblemKind(
        400,
        "A template cannot be used; `errors` names the path in it.",
        "Fix the template at that path.",
    ),
    "not_supported": ProblemKind(
        400,
        "Subscribers of this kind do not support the operation.",
        "Read `detail`: it says what is not supported.",
    ),
    "not_authenticated": ProblemKind(
        401,
        "The request has no key, or a key that is unknown, expired or revoked.",
        "Send a valid key; ask an administrator for one.",
    ),
    "not_allowed": ProblemKind(
        403,
        "The key does not permit this.",
        "Ask an administrator for a key that does.",
    ),
    "scope_missing": ProblemKind(
        403,
        "The key lacks the scope that `detail` names.",
        "Ask an administrator for a key that has it.",
    ),
    "program_not_allowed": ProblemKind(
        403,
        "The key is not for this Program, whether or not the Program exists.",
        "Use the key of this Program; check its spelling.",
    ),
    "not_found": ProblemKind(
        404,
        "Nothing exists at this address.",
        "Check the id in the address.",
    ),
    "method_not_allowed": ProblemKind(
        405,
        "The address does not support this method; `Allow` names the methods it supports.",
        "Use one of those.",
    ),
    "conflict": ProblemKind(
        409,
        "The request conflicts with the present state.",
        "Read the present state, then decide.",
    ),
    "idempotency_key_reused": ProblemKind(
        409,
        "This `Idempotency-Key` was used with other content.",
        "Use a new one for other content.",
    ),
    "source_key_differs": ProblemKind(
        409,
        "The event in the body has another source key than the one in the address.",
        "Publish it with `POST /events`, or fix the address.",
    ),
    "connector_differs": ProblemKind(
        409,
        "The kind of a subscriber cannot be changed.",
        "Make another subscriber.",
    ),
    "subscription_fixed": ProblemKind(
        409,
        "`SubscriberId`, `ProgramId` and `StartFrom` of a subscription cannot be changed.",
        "Make another subscription.",
    ),
    "still_archiving": ProblemKind(
        409,
        "The subscription was archived, and its deliveries are still being discarded.",
        "Make it again when the run that the detail names is finished.",
    ),
    "cannot_requeue": ProblemKind(
        409,
        "Only a delivery that is parked, retrying, or skipped for its template or a reopening can be requeued, and "
        "only while its subscription is in use.",
        "To send a delivered one again, use `Replay`; restore an archived subscription first, or discard the delivery.",
    ),
    "cannot_discard": ProblemKind(
        409,
        "Only a delivery that is not sent can be discarded.",
        "Nothing.",
    ),
    "subscriber_paused": ProblemKind(
        409,
        "Nothing is sent to the subscriber for now: it is away, asks to wait, or refuses the credentials.",
        "Fix what the message names, then run the subscriber's check.",
    ),
    "subscriber_away": ProblemKind(
        409,
        "The hub asked the subscriber, which did not respond in time or failed; `detail` says how.",
        "Ask again later, which is safe. If it lasts, run the subscriber's check.",
    ),
    "subscriber_refused": ProblemKind(
        409,
        "The hub asked the subscriber, which refused, or does not give the hub's account access; `detail` quotes it.",
        "Fix what `detail` names, at the subscriber or in its Settings and Credentials; then ask again.",
    ),
    "panel_differs": ProblemKind(
        409,
        "A panel source of this name exists and does not fit: it is of another kind, or has a field of another type.",
        "Choose another name, or the types that `detail` names.",
    ),
    "event_not_wanted": ProblemKind(
        409,
        "The subscription does not get this event.",
        "Choose another event, or change the subscription.",
    ),
    "category_off": ProblemKind(
        409,
        "The event was not sent: the subscription ignores its category on purpose.",
        "Give the category a template, or choose another event.",
    ),
    "no_template": ProblemKind(
        409,
        "The event was not sent: the subscription has no template for its category, and none for all others.",
        "Give the category a template, or `_default`.",
    ),
    "withdrawn": ProblemKind(
        409,
        "The event was not sent: its publisher withdrew it.",
        "Choose another event.",
    ),
    "superseded": ProblemKind(
        409,
        "The event was not sent: a newer event of the same source record replaced it.",
        "Choose the newer event.",
    ),
    "not_sent": ProblemKind(
        409,
        "The event was not sent; `detail` says why.",
        "Read its delivery.",
    ),
    "precondition_failed": ProblemKind(
        412,
        "The thing is not as `If-Match` or `If-None-Match` asks: it was changed, made or removed since you read it.",
        "Read it again, decide again, and send its new `ETag`.",
    ),
    "too_large": ProblemKind(
        413,
        "The body, the event or the batch is over its limit; `detail` names the limit.",
        "Send less, or smaller parts.",
    ),
    "not_json": ProblemKind(
        415,
        "The body is not declared as JSON.",
        "Set `Content-Type: application/json`.",
    ),
    "encoding_not_taken": ProblemKind(
        415,
        "The body is declared as compressed.",
        "Send it uncompressed, without `Content-Encoding`.",
    ),
    "head_too_slow": ProblemKind(
        408,
        "The first line and the headers did not come within 10 seconds; the connection is closed.",
        "Send them at once.",
    ),
    "head_too_large": ProblemKind(
        431,
        "The first line and the headers have more than 32 KiB, or more than 1,000 headers; the connection is closed.",
        "Send less in the address and in the headers.",
    ),
    "too_many_requests": ProblemKind(
        429,
        "Too many requests with this key.",
        "Wait as long as `Retry-After` says.",
    ),
    "too_many_bodies": ProblemKind(
        429,
        "Too many bodies of this key are being received: more than 100, or more than 32 MiB together.",
        "Send fewer at once; wait as long as `Retry-After` says.",
    ),
    "too_many_answers": ProblemKind(
        429,
        "Answers to this key are not taken: more than 100, or more than 32 MiB together.",
        "Read the answers, or ask for fewer at once; wait as long as `Retry-After` says.",
    ),
    "too_many_readers": ProblemKind(
        429,
        "More than 100 requests of this key are waiting for entries of the feed.",
        "Follow the feed with one reader, or a few; wait as long as `Retry-After` says.",
    ),
    "too_many_previews": ProblemKind(
        429,
        "More than 20 requests of this key wait for templates: previews, ValidateOnly, subscriptions being saved.",
        "Send fewer at once; wait as long as `Retry-After` says.",
    ),
    "too_many_unknown_keys": ProblemKind(
        429,
        "A hundred unknown keys came from this address within a minute; keys that are known are still accepted.",
        "Check the key; wait as long as `Retry-After` says.",
    ),
    "error": ProblemKind(
        500,
        "The hub failed in a way that has no code of its own.",
        "Report the `X-Request-Id` to the operator.",
    ),
    "internal_error": ProblemKind(
        500,
        "The hub failed; its log has the cause under the `X-Request-Id`.",
        "Report the `X-Request-Id` to the operator.",
    ),
    "unavailable": ProblemKind(
        503,
        "The database is away, or too many requests are waiting; nothing was stored.",
        "Wait as long as `Retry-After` says, then send again.",
    ),
    "too_many_connections": ProblemKind(
        503,
        "The hub process has too many connections; the connection is closed.",
        "Try again, with fewer connections that are kept open.",
    ),
    "in_the_way": ProblemKind(
        503,
        "A concurrent change interfered; nothing was stored.",
        "Send again.",
    ),
    "secret_keys_missing": ProblemKind(
        503,
        "The hub has no key to encrypt credentials with.",
        "The operator sets `LEARNING_HUB_SECRET_KEYS`, or makes `LEARNING_HUB_HOME` writable.",
    ),
    "credentials_unreadable": ProblemKind(
        503,
        "Stored credentials were encrypted with a key the hub does not have.",
        "The operator restores that key, or the subscriber is saved with its credentials again.",
    ),
}
