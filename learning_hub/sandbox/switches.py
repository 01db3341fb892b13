"""
The switches of the sandbox: behaviour that the iMIS reference leaves unconfirmed, and an older version of iMIS.

Each default is what the reference assumes. A correct client passes its tests with any combination of switches.
"""

from typing import Annotated, Any, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    """
    The values of all switches; their names are PascalCase in JSON.

    The page and `GET /_sandbox/switches?Describe=1` show the description of each switch as its meaning.
    """

    version: Annotated[
        Literal["ems", "20.2"],
        Meta(
            description="`ems`, or `20.2`: no /api/query and no UserSecurity, pages with SyncRoot and "
            "IsSynchronized, and `10042,3` as an identity.",
        ),
    ] = "ems"
    base_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9_.\-]+)*$",
            description="Where iMIS answers, for instance `/Asi.Scheduler_Sandbox` or `/iMIS0`; empty: at "
            "the root. While it is set, `/token` and `/api` answer below it only.",
        ),
    ] = ""
    time_zone: Annotated[
        str, Meta(description="The zone of the server's local time (IANA); iMIS dates carry no offset.")
    ] = "America/New_York"
    offset_dates: Annotated[
        Literal["convert", "refuse"],
        Meta(
            description="A date sent with `Z` or an offset: converted to local time, or a validation error.",
        ),
    ] = "convert"
    token_lifetime_seconds: Annotated[
        float, Meta(gt=0, description="How long a new token lives; `expires_in` says the same.")
    ] = 1209599
    expires_in_as_text: Annotated[bool, Meta(description="`expires_in` is text and no number.")] = False
    token_dates: Annotated[bool, Meta(description="The token answer has `.issued` and `.expires`.")] = True
    refresh_token_for_password: Annotated[
        bool, Meta(description="The answer to a password grant carries a refresh token.")
    ] = False
    refresh_token_single_use: Annotated[
        bool, Meta(description="A refresh token works once; each use answers with a new one.")
    ] = True
    refresh_token_returned: Annotated[bool, Meta(description="The answer to a refresh token carries the next one.")] = (
        True
    )
    sign_in_error_text: Annotated[
        str, Meta(description="The `error_description` of a wrong password; empty: none is sent.")
    ] = "The user name or password is incorrect."
    sign_in_errors: Annotated[
        Literal["oauth", "invalid-grant"],
        Meta(
            description="What /token says to an unknown grant and to a wrong client application: "
            "`unsupported_grant_type` and `invalid_client` as in OAuth 2, or `invalid_grant` to all.",
        ),
    ] = "oauth"
    lock_out_after: Annotated[
        int,
        Meta(ge=0, description="Lock the account after so many wrong passwords in a row; 0: never."),
    ] = 0
    www_authenticate: Annotated[bool, Meta(description="A 401 carries `WWW-Authenticate: Bearer`.")] = True
    unreadable_body: Annotated[
        Literal[400, 500],
        Meta(description="400 or 500: a body that is no JSON, or whose `$type` is not known."),
    ] = 400
    missing_type: Annotated[
        Literal["refuse", "accept"],
        Meta(
            description="A generic entity or definition without `$type` at the top: 400, or accepted.",
        ),
    ] = "refuse"
    late_type: Annotated[
        Literal["accept", "refuse"],
        Meta(
            description="A top-level `$type` that is not the first member: accepted, or taken as missing.",
        ),
    ] = "accept"
    unknown_activity_type: Annotated[
        Literal["refuse", "accept"],
        Meta(description="An ACTIVITY_TYPE that is not configured: a validation error, or stored."),
    ] = "refuse"
    unknown_party: Annotated[
        Literal["refuse", "accept"],
        Meta(description="An activity or row for a contact that is not there: a validation error, or stored."),
    ] = "refuse"
    activity_changes: Annotated[
        Literal["accept", "refuse"], Meta(description="PUT and DELETE of an activity: carried out, or 501.")
    ] = "accept"
    activity_type_list: Annotated[Literal[200, 501], Meta(description="200 or 501: /api/LegacyActivityType.")] = 200
    units_column: Annotated[
        Literal["UNITS", "QUANTITY"],
        Meta(description="The activity column called Quantity/CEU: `Units` in the query `$/LearningHub/Activities`."),
    ] = "UNITS"
    ceu_type_column: Annotated[
        Literal["CATEGORY", "OTHER_CODE"],
        Meta(description="The activity column called CEU/type: `Category` in that query."),
    ] = "CATEGORY"
    unknown_activity_property: Annotated[
        Literal["ignore", "refuse"], Meta(description="An Activity property that is no column.")
    ] = "ignore"
    unknown_panel_property: Annotated[
        Literal["ignore", "refuse"], Meta(description="A panel property that is no column.")
    ] = "ignore"
    long_activity_text: Annotated[
        Literal["refuse", "cut"],
        Meta(
            description="Activity text wider than its column: a validation error, or cut off.",
        ),
    ] = "refuse"
    omitted_in_put: Annotated[
        Literal["unchanged", "cleared"], Meta(description="A property that a PUT leaves out.")
    ] = "unchanged"
    null_in_put: Annotated[
        Literal["cleared", "unchanged"], Meta(description="A property sent with a null or missing Value.")
    ] = "cleared"
    empty_text: Annotated[Literal["empty", "null"], Meta(description='What the text `""` is stored as.')] = "empty"
    validation_answer: Annotated[
        Literal["results", "text-500"],
        Meta(
            description="A payload that breaks a rule: ValidationResultsData with 400, or 500 with the text "
            "about the administrator.",
        ),
    ] = "results"
    validation_members: Annotated[
        Literal["all", "message"],
        Meta(description="What a validation error tells: field, value, place and message, or the message alone."),
    ] = "all"
    too_many_requests: Annotated[
        Literal["text", "http-error", "empty"],
        Meta(description="The body of a 429: a text, the HttpError of Web API, or none."),
    ] = "text"
    patch_status: Annotated[Literal[405, 404, 501], Meta(description="405, 404 or 501: a PATCH.")] = 405
    post_ordinal: Annotated[
        Literal["zero", "real"],
        Meta(
            description="The Ordinal in the answer to a POST of a multi-instance row.",
        ),
    ] = "zero"
    ordinal_numbering: Annotated[
        Literal["contact", "source"],
        Meta(description="The Ordinal of a new row is the next of its contact, or of the whole source."),
    ] = "contact"
    second_single_row: Annotated[
        Literal[409, 400],
        Meta(description="409, or 400: a second row of a single-instance panel for one contact."),
    ] = 409
    closed_panel: Annotated[
        Literal[404, 501, 403],
        Meta(description="404, 501 or 403: a panel source whose REST box is not ticked."),
    ] = 404
    unknown_entity: Annotated[
        Literal[501, 404],
        Meta(description="501 or 404: an entity that has no service, PersonSummary among them."),
    ] = 501
    new_source_available: Annotated[
        bool, Meta(description="A source made over REST has its REST box ticked at once.")
    ] = False
    definition_keys: Annotated[
        Literal["add", "refuse", "own"],
        Meta(
            description="A new definition without ID or Ordinal: iMIS adds them, or a validation error (`refuse`). "
            "`own`: iMIS adds them, and one that brings them is a validation error.",
        ),
    ] = "add"
    definition_changes: Annotated[
        Literal["take", "drop"],
        Meta(description="Fields that a PUT of a definition adds or widens: taken, or dropped in silence."),
    ] = "take"
    read_only_flags: Annotated[
        Literal["keep", "drop"],
        Meta(description="The flag IsReadOnly of a property in a definition; it concerns the screen alone."),
    ] = "keep"
    metadata: Annotated[Literal[200, 501], Meta(description="200 or 501: /api/metadata/{Entity}.")] = 200
    unknown_filter: Annotated[
        Literal["refuse", "ignore"],
        Meta(
            description="A filter or order on a property that is not there: 400, or passed over.",
        ),
    ] = "refuse"
    activity_party_filter: Annotated[bool, Meta(description="Activity can be filtered on PartyId and ID.")] = True
    text_comparison: Annotated[Literal["ignore-case", "exact"], Meta(description="How filters compare text.")] = (
        "ignore-case"
    )
    operator_case: Annotated[Literal["ignore", "exact"], Meta(description="Whether `EQ:` is the operator `eq:`.")] = (
        "ignore"
    )
    less_or_equal_symbol: Annotated[
        Literal["text", "operator"],
        Meta(
            description="`<=:5` is a test on the literal text (as in 20.3.205), or the operator `le`.",
        ),
    ] = "text"
    wrong_identity: Annotated[
        Literal[400, 500], Meta(description="400 or 500: an identity with the wrong number of elements.")
    ] = 400
    post_status: Annotated[Literal[201, 200, 202], Meta(description="201, 200 or 202: a POST that stored.")] = 201
    put_status: Annotated[Literal[200, 201], Meta(description="200 or 201: a PUT that stored.")] = 200
    put_body: Annotated[Literal["entity", "empty"], Meta(description="What a PUT that stored answers with.")] = "entity"
    delete_status: Annotated[Literal[200, 204], Meta(description="200 (with an empty body) or 204: a DELETE.")] = 200
    wrap_primitives: Annotated[bool, Meta(description="Numbers and booleans of properties are wrapped.")] = True
    wrap_dates: Annotated[bool, Meta(description="Dates of properties are wrapped as System.DateTime.")] = False
    forced_fraction: Annotated[bool, Meta(description="A whole decimal is written `3.0` and not `3`.")] = True
    html_in_text: Annotated[
        Literal["none", "descriptions", "all"],
        Meta(
            description="Which text comes back with HTML-significant characters encoded (`&#39;`): none, "
            "columns with `description` or `note` in the name, or all columns.",
        ),
    ] = "none"
    unknown_query: Annotated[Literal[404, 403], Meta(description="404 or 403: a query path that is not there.")] = 404
    closed_query: Annotated[
        Literal[403, 404], Meta(description="403 or 404: a query that is not available to REST.")
    ] = 403
    false_in_contacts: Annotated[bool, Meta(description="A contact says `IsOrganization` also when it is false.")] = (
        True
    )
    query_cache_seconds: Annotated[
        float, Meta(ge=0, description="How long IQA and query answer with what they answered before.")
    ] = 0
    bare_execute_result: Annotated[
        bool, Meta(description="`_execute` answers with the bare result and no service response around it.")
    ] = False


def change_switches(switches: Switches, changes: dict[str, Any]) -> Switches:
    """
    The switches with *changes* applied; names may have any letter case.

    Raises:
        ValueError: A name or a value is not allowed; the message names it.
    """
    names = {name.casefold(): name for name in msgspec.to_builtins(switches)}
    by_field: dict[str, Any] = {}
    for name, value in changes.items():
        if name.casefold() not in names:
            msg = f"There is no switch {name}. There are: {', '.join(sorted(names.values()))}."
            raise ValueError(msg)
        by_field[names[name.casefold()]] = value
    try:
        changed = msgspec.convert({**msgspec.to_builtins(switches), **by_field}, Switches)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    try:
        ZoneInfo(changed.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"There is no time zone {changed.time_zone}."
        raise ValueError(msg) from error
    return changed


def describe_switches(switches: Switches) -> list[dict[str, Any]]:
    """Name, value, default and meaning of every switch, in the order of the class."""
    current, default = msgspec.to_builtins(switches), msgspec.to_builtins(Switches())
    hints = get_type_hints(Switches, include_extras=True)
    meanings = [get_args(hints[field])[1].description for field in Switches.__struct_fields__]
    return [
        {"Name": name, "Value": current[name], "Default": default[name], "Meaning": meaning}
        for name, meaning in zip(current, meanings, strict=True)
    ]
