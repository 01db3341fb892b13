"""The control addresses below `/_sandbox`, which steer the sandbox and show its state."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import BadRequest
from learning_hub.sandbox.faults import FAULTS, STATUSES, read_fault
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.responses import Response, json_response
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.state import state_of
from learning_hub.sandbox.switches import change_switches, describe_switches

# The page at `/` shows this text.
OVERVIEW = """
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
""".strip()

Handler = Callable[[Site, Request, list[str]], Response]


def handle_control(site: Site, request: Request, segments: list[str]) -> Response:
    """The response of a control address; a 400, 404 or 405 has the reason in `Error`."""
    name = segments[0].casefold()
    handlers = {method: handler for (address, method), handler in _HANDLERS.items() if address == name}
    if not handlers or len(segments) > (2 if name == "panels" else 1):
        known = sorted({f"{method} /_sandbox/{address}" for address, method in _HANDLERS})
        return json_response(404, {"Error": "There is no such control address.", "Addresses": known})
    handler = handlers.get(request.method)
    if handler is None:
        allowed = ", ".join(sorted(handlers))
        return json_response(405, {"Error": f"Use {allowed}."}, headers=(("Allow", allowed),))
    try:
        _check_parameters(name, request)
        return handler(site, request, segments[1:])
    except (ValueError, BadRequest) as error:
        return json_response(400, {"Error": str(error)})


def _check_parameters(address: str, request: Request) -> None:
    """Raise for an unknown query parameter: a DELETE with a mistyped filter must not delete everything."""
    known = _PARAMETERS.get((address, request.method), set())
    for name, _ in request.pairs:
        if name.casefold() not in known:
            names = ", ".join(sorted(known)) or "none"
            msg = f"There is no parameter {name} here. There is: {names}."
            raise BadRequest(msg)


def _json_object(request: Request, *members: str) -> dict[str, Any]:
    """
    The body; where *members* are given, it may have only these, in any letter case.

    Raises:
        BadRequest: It is not a JSON object, or has another member.
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


def _show_switches(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    if request.parameter("Describe"):
        return json_response(200, {"Items": describe_switches(site.switches)})
    return json_response(200, msgspec.to_builtins(site.switches))


def _change_switches(site: Site, request: Request, rest: list[str]) -> Response:
    site.switches = change_switches(site.switches, _json_object(request))
    return _show_switches(site, request, rest)


def _show_faults(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    return json_response(200, {"Items": [fault.as_json() for fault in site.faults.posted]})


def _post_fault(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    fault = read_fault(wire.decode(request.body))
    site.faults.posted.append(fault)
    return json_response(201, fault.as_json())


def _clear_faults(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    kind = request.parameter("Fault")
    if kind and kind.casefold() not in {*FAULTS, *map(str, STATUSES)}:
        msg = f"There is no fault {kind}."
        raise BadRequest(msg)
    site.faults.clear(kind.casefold() if kind else None)
    return Response(204)


def _show_requests(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    method = (request.parameter("Method") or "").upper()
    path = (request.parameter("Path") or "").casefold()
    items = [
        entry.as_json()
        for entry in site.request_log.entries
        if method in ("", entry.method) and entry.path.casefold().startswith(path)
    ]
    counts = {"Total": site.request_log.total, "WrongPasswords": site.account.wrong_passwords}
    return json_response(200, {"Items": items, **counts})


def _clear_requests(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    site.request_log.clear()
    site.account.wrong_passwords = 0
    return Response(204)


def _show_state(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    return json_response(200, state_of(site))


def _change_panel(site: Site, request: Request, rest: list[str]) -> Response:
    panel = site.panels.get(rest[0].casefold()) if rest else None
    if panel is None:
        return json_response(404, {"Error": "There is no such panel source."})
    available = wire.member(_json_object(request, "AvailableViaRest"), "AvailableViaRest")
    if not isinstance(available, bool):
        raise BadRequest("AvailableViaRest must be true or false.")
    panel.available_via_rest = available
    return json_response(200, {"Name": panel.name, "AvailableViaRest": panel.available_via_rest})


def _shorten_tokens(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    seconds = wire.member(_json_object(request, "ExpiresInSeconds"), "ExpiresInSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < 10**8:
        raise BadRequest("ExpiresInSeconds must be a whole number, 0 or more.")
    site.tokens.set_expiry(site.now() + timedelta(seconds=seconds))
    return json_response(200, {"Tokens": len(site.tokens.live)})


def _revoke_tokens(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    site.tokens.live.clear()
    return Response(204)


def _issue_refresh_token(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    return json_response(201, {"RefreshToken": site.tokens.issue_refresh()})


def _change_account(site: Site, request: Request, rest: list[str]) -> Response:
    del rest
    body = _json_object(request, "Username", "Password", "Roles")
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
    return json_response(200, {"Username": site.account.username, "Roles": list(site.account.roles)})


def _reset(site: Site, request: Request, rest: list[str]) -> Response:
    del request, rest
    site.reset()
    return Response(204)


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
