"""Routes a request below `/api` to the operation of a service (section 4)."""

from typing import Any
from urllib.parse import unquote

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    OperationNotImplemented,
    ServiceNotImplemented,
    UnreadableBody,
)
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.responses import Response, json_response
from learning_hub.sandbox.search import paged_result, read_search
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
from learning_hub.sandbox.services.panels import PanelService, closed_panel_error
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


def handle_api(site: Site, request: Request, segments: list[str]) -> Response:
    """
    The response to a request for `/api/` and *segments*, which are still percent-encoded.

    Raises:
        ApiError: The request fails.
    """
    decoded = [unquote(segment) for segment in segments]
    if decoded and decoded[0].casefold() == "metadata":
        return _handle_metadata(site, request, decoded[1:])
    if not decoded:
        raise NotFound("No entity is named.")
    service = service_for(site, decoded[0])
    if len(decoded) > 1:
        return _handle_below_entity(site, request, service, decoded[1:])
    entity_id = request.parameter("EntityId")
    if entity_id is not None:
        return _handle_record(site, request, service, _identity(site, entity_id))
    return _handle_list(site, request, service)


def service_for(site: Site, entity: str) -> Service:
    """
    The service of an entity, whose name may have any letter case.

    Raises:
        ApiError: The entity has no service, or is a panel source that is not available via REST.
    """
    folded = entity.casefold()
    if folded == "legacyactivitytype" and site.switches.activity_type_list == 501:
        raise ServiceNotImplemented(_no_service(entity))
    if site.switches.version == "20.2" and folded in _NOT_IN_20_2:
        raise _NOT_IN_20_2[folded](_no_service(entity))
    if folded == "activity":
        return ActivityService(site)
    for name, service in _SERVICES.items():
        if name.casefold() == folded:
            return service(site, name)
    panel = site.panels.get(folded)
    if panel is None:
        errors: dict[int, type[ApiError]] = {501: ServiceNotImplemented, 404: NotFound}
        raise errors[site.switches.unknown_entity](_no_service(entity))
    if not panel.available_via_rest:
        raise closed_panel_error(site, panel)
    return PanelService(site, panel)


def _no_service(entity: str) -> str:
    return f"There is no service defined for {entity}."


def _identity(site: Site, text: str) -> Identity:
    return wire.split_identity(text, with_commas=site.switches.version == "20.2")


def _handle_metadata(site: Site, request: Request, parts: list[str]) -> Response:
    if request.method != "GET":
        raise MethodNotAllowed(request.method, ["GET"])
    if len(parts) != 1:
        raise NotFound("No entity is named.")
    return json_response(200, metadata_of(site, parts[0]))


def _handle_below_entity(site: Site, request: Request, service: Service, parts: list[str]) -> Response:
    """The response to `/api/{Entity}/` and *parts*: an operation, a record, or the change log of a record."""
    if parts[0].casefold() == "_haspermission" and len(parts) == 2:
        return _handle_permission(request, parts[1])
    if parts[0].startswith("_"):
        return _handle_operation(site, request, service, parts[0])
    if len(parts) == 1:
        return _handle_record(site, request, service, _identity(site, parts[0]))
    if parts[1].casefold() == "changelog" and len(parts) == 2:
        return _handle_change_log(site, request, service, _identity(site, parts[0]))
    msg = f"Operation {parts[1]} is not implemented for {service.entity}."
    raise OperationNotImplemented(msg)


def _handle_list(site: Site, request: Request, service: Service) -> Response:
    if request.method == "GET":
        return json_response(200, service.find(request.pairs))
    if request.method == "POST":
        service.require_write_permission()
        return json_response(site.switches.post_status, service.add(_body(request)))
    raise MethodNotAllowed(request.method, ["GET", "POST"])


def _handle_record(site: Site, request: Request, service: Service, identity: Identity) -> Response:
    if request.method == "GET":
        return json_response(200, service.read(identity))
    if request.method in ("PUT", "DELETE"):
        service.require_write_permission()
    if request.method == "PUT":
        stored = service.update(identity, _body(request))
        if site.switches.put_body == "empty":
            return Response(site.switches.put_status)
        return json_response(site.switches.put_status, stored)
    if request.method == "DELETE":
        service.delete(identity)
        return Response(site.switches.delete_status)
    raise MethodNotAllowed(request.method, ["GET", "PUT", "DELETE"])


def _handle_permission(request: Request, action: str) -> Response:
    """
    Whether the account may perform *action*; it may perform every known one.

    The vendor's client uses POST, others use GET.
    """
    if request.method not in ("GET", "POST"):
        raise MethodNotAllowed(request.method, ["GET", "POST"])
    return json_response(200, action.casefold() in _ACTIONS)


def _handle_change_log(site: Site, request: Request, service: Service, identity: Identity) -> Response:
    """A page of the changes to a record: always empty, as on a site where logging was never enabled."""
    if request.method != "GET":
        raise MethodNotAllowed(request.method, ["GET"])
    service.read(identity)
    search = read_search(request.pairs, site.switches)
    return json_response(200, paged_result([], search, wire.core("ChangeLogData"), site.switches, str))


def _handle_operation(site: Site, request: Request, service: Service, operation: str) -> Response:
    if operation.casefold() not in {"_execute", "_validate"}:
        msg = f"Operation {operation} is not implemented for {service.entity}."
        raise OperationNotImplemented(msg)
    if request.method != "POST":
        raise MethodNotAllowed(request.method, ["POST"])
    body = _body(request)
    if operation.casefold() == "_validate":
        return json_response(200, service.validate(body))
    return json_response(200, _execute(site, service, body))


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
