"""
The control addresses below `/_sandbox`. They need no token: who reaches the sandbox may steer it.

    GET PUT     switches            what the iMIS reference leaves open; `?Describe=1` adds meanings
    GET POST DELETE  faults         what goes wrong; `?Fault=` deletes those of one kind alone
    GET DELETE  requests            the journal; `?Method=` and `?Path=` narrow it
    GET         state               contacts, activities, panel rows
    PUT         panels/{Name}       {"AvailableViaRest": true}
    PUT         tokens              {"ExpiresInSeconds": 0}: live tokens end early
    DELETE      tokens              every token is revoked
    POST        refresh-tokens      a new refresh token
    PUT         account             {"Username": …, "Password": …, "Roles": ["Everyone"]}: without one of staff no
                                    panel source and no row of one can be written
    POST        reset               back to the seeds
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from learning_hub.sandbox import wire
from learning_hub.sandbox.answer import Answer, json_answer
from learning_hub.sandbox.errors import BadRequest
from learning_hub.sandbox.faults import FAULTS, STATUSES, read_fault
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.state import state_of
from learning_hub.sandbox.switches import change_switches, describe_switches

Handler = Callable[[Site, Request, list[str]], Answer]


def answer_control(site: Site, request: Request, segments: list[str]) -> Answer:
    """The answer of a control address; 400, 404 and 405 say in `Error` what is wrong."""
    name = segments[0].casefold()
    handlers = {method: handler for (room, method), handler in _HANDLERS.items() if room == name}
    if not handlers or len(segments) > (2 if name == "panels" else 1):
        known = sorted({f"{method} /_sandbox/{room}" for room, method in _HANDLERS})
        return json_answer(404, {"Error": "There is no such control address.", "Addresses": known})
    handler = handlers.get(request.method)
    if handler is None:
        allowed = ", ".join(sorted(handlers))
        return json_answer(405, {"Error": f"Use {allowed}."}, headers=(("Allow", allowed),))
    try:
        _refuse_unknown(request.method, name, request)
        return handler(site, request, segments[1:])
    except (ValueError, BadRequest) as error:
        return json_answer(400, {"Error": str(error)})


def _refuse_unknown(method: str, room: str, request: Request) -> None:
    """Raise when the query has a parameter that this address lacks: a mistyped one must not act on everything."""
    known = _PARAMETERS.get((room, method), set())
    for name, _ in request.pairs:
        if name.casefold() not in known:
            have = ", ".join(sorted(known)) or "none"
            msg = f"There is no parameter {name} here. There is: {have}."
            raise BadRequest(msg)


def _object(request: Request, *members: str) -> dict[str, Any]:
    """
    The body; where *members* are given it has these and no others, in any case.

    Raises:
        BadRequest: It is no JSON object, or has another member.
    """
    body = wire.decode(request.body)
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.")
    known = {member.casefold() for member in members}
    unknown = [name for name in body if known and name.casefold() not in known]
    if unknown:
        msg = f"There is no {', '.join(unknown)} here. There is: {', '.join(members)}."
        raise BadRequest(msg)
    return body


def _show_switches(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    if request.parameter("Describe"):
        return json_answer(200, {"Items": describe_switches(site.switches)})
    return json_answer(200, msgspec.to_builtins(site.switches))


def _change_switches(site: Site, request: Request, rest: list[str]) -> Answer:
    site.switches = change_switches(site.switches, _object(request))
    return _show_switches(site, request, rest)


def _show_faults(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    return json_answer(200, {"Items": [fault.as_json() for fault in site.faults.posted]})


def _post_fault(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    fault = read_fault(wire.decode(request.body))
    site.faults.posted.append(fault)
    return json_answer(201, fault.as_json())


def _clear_faults(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    kind = request.parameter("Fault")
    if kind and kind.casefold() not in {*FAULTS, *map(str, STATUSES)}:
        msg = f"There is no fault {kind}."
        raise BadRequest(msg)
    site.faults.clear(kind.casefold() if kind else None)
    return Answer(204)


def _show_requests(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    method = (request.parameter("Method") or "").upper()
    path = (request.parameter("Path") or "").casefold()
    shown = [
        entry.as_json()
        for entry in site.journal.entries
        if method in ("", entry.method) and entry.path.casefold().startswith(path)
    ]
    counts = {"Total": site.journal.total, "WrongPasswords": site.account.wrong_passwords}
    return json_answer(200, {"Items": shown, **counts})


def _clear_requests(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    site.journal.clear()
    site.account.wrong_passwords = 0
    return Answer(204)


def _show_state(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    return json_answer(200, state_of(site))


def _change_panel(site: Site, request: Request, rest: list[str]) -> Answer:
    panel = site.panels.get(rest[0].casefold()) if rest else None
    if panel is None:
        return json_answer(404, {"Error": "There is no such panel source."})
    ticked = wire.member(_object(request, "AvailableViaRest"), "AvailableViaRest")
    if not isinstance(ticked, bool):
        raise BadRequest("AvailableViaRest must be true or false.")
    panel.available_via_rest = ticked
    return json_answer(200, {"Name": panel.name, "AvailableViaRest": panel.available_via_rest})


def _shorten_tokens(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    seconds = wire.member(_object(request, "ExpiresInSeconds"), "ExpiresInSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < 10**8:
        raise BadRequest("ExpiresInSeconds must be a whole number, 0 or more.")
    site.tokens.end_all(site.now() + timedelta(seconds=seconds))
    return json_answer(200, {"Tokens": len(site.tokens.live)})


def _revoke_tokens(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    site.tokens.live.clear()
    return Answer(204)


def _issue_refresh_token(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    return json_answer(201, {"RefreshToken": site.tokens.issue_refresh()})


def _change_account(site: Site, request: Request, rest: list[str]) -> Answer:
    del rest
    body = _object(request, "Username", "Password", "Roles")
    roles = wire.member(body, "Roles")
    if roles is not None and not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
        raise BadRequest("Roles must be a list of texts.")
    for name in ("Username", "Password"):
        value = wire.member(body, name)
        if value is not None and not isinstance(value, str):
            msg = f"{name} must be text."
            raise BadRequest(msg)
        if value is not None:
            setattr(site.account, name.lower(), value)
    if roles is not None:
        site.account.roles = tuple(roles)
    site.account.wrong_in_a_row = 0
    return json_answer(200, {"Username": site.account.username, "Roles": list(site.account.roles)})


def _reset(site: Site, request: Request, rest: list[str]) -> Answer:
    del request, rest
    site.reset()
    return Answer(204)


_PARAMETERS: dict[tuple[str, str], set[str]] = {
    ("switches", "GET"): {"describe"},
    ("faults", "DELETE"): {"fault"},
    ("requests", "GET"): {"method", "path"},
}
_HANDLERS: dict[tuple[str, str], Handler] = {
    ("switches", "GET"): _show_switches,
    ("switches", "PUT"): _change_switches,
    ("faults", "GET"): _show_faults,
    ("faults", "POST"): _post_fault,
    ("faults", "DELETE"): _clear_faults,
    ("requests", "GET"): _show_requests,
    ("requests", "DELETE"): _clear_requests,
    ("state", "GET"): _show_state,
    ("panels", "PUT"): _change_panel,
    ("tokens", "PUT"): _shorten_tokens,
    ("tokens", "DELETE"): _revoke_tokens,
    ("refresh-tokens", "POST"): _issue_refresh_token,
    ("account", "PUT"): _change_account,
    ("reset", "POST"): _reset,
}
