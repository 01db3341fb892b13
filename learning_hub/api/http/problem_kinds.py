"""
Every code a problem can have, with what it means and what the caller can do.

The page at /schema shows them, and docs/reference/errors.md repeats them; tests hold the three together.
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
        "Mend them and send again.",
    ),
    "invalid_input": ProblemKind(
        400,
        "What was sent cannot be used; `detail` says why.",
        "Mend it and send again.",
    ),
    "invalid_json": ProblemKind(
        400,
        "A JSON text within what was sent is not well-formed; `detail` says where.",
        "Mend it and send again.",
    ),
    "malformed_json": ProblemKind(
        400,
        "The body is no well-formed JSON, or no object where one is needed; `detail` says where.",
        "Mend it and send again.",
    ),
    "malformed_request": ProblemKind(
        400,
        "The request is no HTTP: its method, address, headers or chunks cannot be read, or the address is too long.",
        "Encode the address with percent signs; see what stands between the caller and the hub.",
    ),
    "body_broke_off": ProblemKind(
        400,
        "The connection ended before the whole body had come, or a batch came too slowly.",
        "Send again.",
    ),
    "body_not_taken": ProblemKind(
        400,
        "The operation takes no body, and one was sent that asks for something.",
        "Send it in the address where the operation has such a parameter; leave the body out, or send `{}`.",
    ),
    "data_refused": ProblemKind(
        400,
        "The database does not take these data.",
        "Tell the operator: the hub should have named the field.",
    ),
    "template_error": ProblemKind(
        400,
        "A template cannot be used; `errors` names the place.",
        "Mend the template at that place.",
    ),
    "not_supported": ProblemKind(
        400,
        "Subscribers of this kind cannot do what was asked for.",
        "Read `detail`: it says what they cannot do.",
    ),
    "not_authenticated": ProblemKind(
        401,
        "No key, or one that is unknown, expired or revoked.",
        "Send a valid key; ask an administrator for one.",
    ),
    "not_allowed": ProblemKind(
        403,
        "The key may not do this.",
        "Ask an administrator for a key that may.",
    ),
    "scope_missing": ProblemKind(
        403,
        "The key lacks the scope that `detail` names.",
        "Ask an administrator for a key that has it.",
    ),
    "program_not_allowed": ProblemKind(
        403,
        "The key is not for this Program, whether or not there is one of this name.",
        "Use the key of this Program; check its spelling.",
    ),
    "not_found": ProblemKind(
        404,
        "There is nothing at this address.",
        "Check the id in the address.",
    ),
    "method_not_allowed": ProblemKind(
        405,
        "This method is not for this address; `Allow` names those that are.",
        "Use one of those.",
    ),
    "conflict": ProblemKind(
        409,
        "What was asked for does not fit what is there.",
        "Read what is there, then decide.",
    ),
    "idempotency_key_reused": ProblemKind(
        409,
        "This `Idempotency-Key` was used with other content.",
        "Use a new one for other content.",
    ),
    "source_key_differs": ProblemKind(
        409,
        "The event in the body has another source key than the one in the address.",
        "Publish it with `POST /events`, or mend the address.",
    ),
    "not_latest_revision": ProblemKind(
        409,
        "Only the latest revision can be withdrawn.",
        "Read the event's source again and withdraw the latest.",
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
    "cannot_requeue": ProblemKind(
        409,
        "Only a delivery that is parked, retrying, or skipped for its template or a reopening can be put back, and "
        "only while its subscription is in use.",
        "To send a delivered one again, use `Replay`; bring an archived subscription back first, or discard the "
        "delivery.",
    ),
    "cannot_discard": ProblemKind(
        409,
        "Only a delivery that is not sent can be discarded.",
        "Nothing.",
    ),
    "subscriber_paused": ProblemKind(
        409,
        "Nothing is sent to the subscriber for now: it is away, asks to wait, or refuses the credentials.",
        "Mend what the message names, then run the subscriber's check.",
    ),
    "subscriber_away": ProblemKind(
        409,
        "The subscriber was asked, and did not answer, or not in time, or answered with a failure of its own; `detail` "
        "says how.",
        "Ask again later, which is safe. If it lasts, run the subscriber's check.",
    ),
    "subscriber_refused": ProblemKind(
        409,
        "The subscriber was asked, and refused, or does not let the hub's account look; `detail` has its words.",
        "Mend what `detail` names, at the subscriber or in its Settings and Credentials; then ask again.",
    ),
    "panel_differs": ProblemKind(
        409,
        "A panel source of this name is there and does not fit: of another kind, or with a field of another type.",
        "Choose another name, or the types that `detail` names.",
    ),
    "event_not_wanted": ProblemKind(
        409,
        "The event is none that this subscription gets.",
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
        "The event was not sent: a newer one took its place.",
        "Choose the newer one.",
    ),
    "not_sent": ProblemKind(
        409,
        "The event was not sent; `detail` says why.",
        "Look at its delivery.",
    ),
    "too_large": ProblemKind(
        413,
        "The body, the event or the batch is over its limit; `detail` names the limit.",
        "Send less, or smaller parts.",
    ),
    "not_json": ProblemKind(
        415,
        "The body is declared as something else than JSON.",
        "Set `Content-Type: application/json`.",
    ),
    "encoding_not_taken": ProblemKind(
        415,
        "The body is declared as compressed.",
        "Send it uncompressed, without `Content-Encoding`.",
    ),
    "too_many_requests": ProblemKind(
        429,
        "Too many requests with this key.",
        "Wait as long as `Retry-After` says.",
    ),
    "error": ProblemKind(
        500,
        "The hub failed in a way it has no better name for.",
        "Tell the operator the `X-Request-Id`.",
    ),
    "internal_error": ProblemKind(
        500,
        "The hub failed; its log has the cause under the `X-Request-Id`.",
        "Tell the operator the `X-Request-Id`.",
    ),
    "unavailable": ProblemKind(
        503,
        "The database is away, or too much is waiting; nothing was stored.",
        "Wait as long as `Retry-After` says, then send again.",
    ),
    "in_the_way": ProblemKind(
        503,
        "Another change was in the way; nothing was stored.",
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
        "The operator puts that key back, or the subscriber is saved with its credentials again.",
    ),
}
