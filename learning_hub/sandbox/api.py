"""From an address below `/api` to the operation of a service (section 4)."""

from typing import Any
from urllib.parse import unquote

from learning_hub.sandbox import wire
from learning_hub.sandbox.answer import Answer, json_answer
from learning_hub.sandbox.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    OperationNotImplemented,
    Refusal,
    ServiceNotImplemented,
    UnreadableBody,
)
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.search import page, read_search
from learning_hub.sandbox.services.activities import ActivityService
from learning_hub.sandbox.services.activity_types import ActivityTypeService
from learning_hub.sandbox.services.contacts import ContactService
from learning_hub.sandbox.services.definitions import DefinitionService, metadata_of
from learning_hub.sandbox.services.lookups import (
    AddressPurposeService,
    BasicContactService,
    GeneralTableService,
    PanelDefinitionService,
    UserService,
)
from learning_hub.sandbox.services.panels import PanelService, closed_panel
from learning_hub.sandbox.services.queries import IqaService, QueryDefinitionService, QueryService
from learning_hub.sandbox.services.security import UserSecurityService
from learning_hub.sandbox.services.service import Identity, Service
from learning_hub.sandbox.site import Site

_SERVICES: dict[str, type[Service]] = {
    "Party": ContactService,
    "Person": ContactService,
    "PartySummary": ContactService,
    "LegacyActivityType": ActivityTypeService,
    "BOEntityDefinition": DefinitionService,
    "IQA": IqaService,
    "query": QueryService,
    "QueryDefinition": QueryDefinitionService,
    "UserSecurity": UserSecurityService,
    "User": UserService,
    "CsContactBasic": BasicContactService,
    "GenTable": GeneralTableService,
    "PanelDefinition": PanelDefinitionService,
    "AddressPurpose": AddressPurposeService,
}
_ACTIONS = {"add", "find", "findbyidentity", "update", "delete", "validate", "execute"}
_NOT_IN_20_2 = {"query": NotFound, "usersecurity": ServiceNotImplemented}


def answer_api(site: Site, request: Request, segments: list[str]) -> Answer:
    """
    The answer to a request for `/api/` and *segments*, which are still percent-encoded.

    Raises:
        Refusal: It cannot be done.
    """
    parts = [unquote(segment) for segment in segments]
    if parts and parts[0].casefold() == "metadata":
        return _answer_metadata(site, request, parts[1:])
    if not parts:
        raise NotFound("No entity is named.")
    service = service_for(site, parts[0])
    if len(parts) == 1:
        named = request.parameter("EntityId")
        if named is not None:
            return _answer_one(site, request, service, _identity(site, named))
        return _answer_all(site, request, service)
    return _answer_below(site, request, service, parts[1:])


def service_for(site: Site, entity: str) -> Service:
    """
    The service of an entity, its name in any case.

    Raises:
        Refusal: There is none, or it is a panel source that REST may not see.
    """
    folded = entity.casefold()
    if folded == "legacyactivitytype" and site.switches.activity_type_list == 501:
        raise ServiceNotImplemented(_no_service(entity))
    if site.switches.version == "20.2" and folded in _NOT_IN_20_2:
        raise _NOT_IN_20_2[folded](_no_service(entity))
    if folded == "activity":
        return ActivityService(site)
    for name, kind in _SERVICES.items():
        if name.casefold() == folded:
            return kind(site, name)
    panel = site.panels.get(folded)
    if panel is None:
        kinds: dict[int, type[Refusal]] = {501: ServiceNotImplemented, 404: NotFound}
        raise kinds[site.switches.unknown_entity](_no_service(entity))
    if not panel.available_via_rest:
        raise closed_panel(site, panel)
    return PanelService(site, panel)


def _no_service(entity: str) -> str:
    return f"There is no service defined for {entity}."


def _identity(site: Site, text: str) -> Identity:
    return wire.split_identity(text, with_commas=site.switches.version == "20.2")


def _answer_metadata(site: Site, request: Request, parts: list[str]) -> Answer:
    if request.method != "GET":
        raise MethodNotAllowed(request.method, ["GET"])
    if len(parts) != 1:
        raise NotFound("No entity is named.")
    return json_answer(200, metadata_of(site, parts[0]))


def _answer_below(site: Site, request: Request, service: Service, parts: list[str]) -> Answer:
    """The answer to what stands behind the name of an entity: an operation, a record, or something of a record."""
    if parts[0].casefold() == "_haspermission" and len(parts) == 2:
        return _answer_permission(request, parts[1])
    if parts[0].startswith("_"):
        return _answer_operation(site, request, service, parts[0])
    if len(parts) == 1:
        return _answer_one(site, request, service, _identity(site, parts[0]))
    if parts[1].casefold() == "changelog" and len(parts) == 2:
        return _answer_change_log(site, request, service, _identity(site, parts[0]))
    msg = f"Operation {parts[1]} is not implemented for {service.entity}."
    raise OperationNotImplemented(msg)


def _answer_all(site: Site, request: Request, service: Service) -> Answer:
    if request.method == "GET":
        return json_answer(200, service.find(request.pairs))
    if request.method == "POST":
        service.need_right_to_write()
        return json_answer(site.switches.post_status, service.add(_body(request)))
    raise MethodNotAllowed(request.method, ["GET", "POST"])


def _answer_one(site: Site, request: Request, service: Service, identity: Identity) -> Answer:
    if request.method == "GET":
        return json_answer(200, service.read(identity))
    if request.method in ("PUT", "DELETE"):
        service.need_right_to_write()
    if request.method == "PUT":
        stored = service.change(identity, _body(request))
        if site.switches.put_body == "empty":
            return Answer(site.switches.put_status)
        return json_answer(site.switches.put_status, stored)
    if request.method == "DELETE":
        service.remove(identity)
        return Answer(site.switches.delete_status)
    raise MethodNotAllowed(request.method, ["GET", "PUT", "DELETE"])


def _answer_permission(request: Request, action: str) -> Answer:
    """Whether the account may do *action*; it may do all there is. The vendor's client posts, others get."""
    if request.method not in ("GET", "POST"):
        raise MethodNotAllowed(request.method, ["GET", "POST"])
    return json_answer(200, action.casefold() in _ACTIONS)


def _answer_change_log(site: Site, request: Request, service: Service, identity: Identity) -> Answer:
    """A page of the changes to a record: always empty, as where logging was never switched on."""
    if request.method != "GET":
        raise MethodNotAllowed(request.method, ["GET"])
    service.read(identity)
    search = read_search(request.pairs, site.switches)
    return json_answer(200, page([], search, wire.core("ChangeLogData"), site.switches, str))


def _answer_operation(site: Site, request: Request, service: Service, operation: str) -> Answer:
    if operation.casefold() not in {"_execute", "_validate"}:
        msg = f"Operation {operation} is not implemented for {service.entity}."
        raise OperationNotImplemented(msg)
    if request.method != "POST":
        raise MethodNotAllowed(request.method, ["POST"])
    body = _body(request)
    if operation.casefold() == "_validate":
        return json_answer(200, service.validate(body))
    return json_answer(200, _execute(site, service, body))


def _execute(site: Site, service: Service, body: Any) -> Any:
    """Run the named operation of a GenericExecuteRequest; its result in a service response (4.1)."""
    operation = wire.member(body, "OperationName")
    if not isinstance(operation, str):
        raise BadRequest("OperationName is missing.")
    parameters = [wire.unwrap(item) for item in wire.values_of(wire.member(body, "Parameters"))]
    result = service.execute(operation, parameters)
    if site.switches.bare_execute_result:
        return result
    # Result, success and status are documented; the $type and the status as a number are assumed.
    return {
        "$type": "Asi.Soa.Core.DataContracts.ServiceResponse`1[[System.Object, mscorlib]], Asi.Contracts",
        "Result": result,
        "IsSuccessStatusCode": True,
        "StatusCode": 0,
        "IsCachedResult": False,
    }


def _body(request: Request) -> Any:
    if not request.body.strip():
        raise UnreadableBody("The request has no body.")
    return wire.decode(request.body)
