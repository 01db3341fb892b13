"""Litestar route handlers made from declared operations; and the direct route for the most frequent operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, cast

from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler

from learning_hub.api.http.context import context_of
from learning_hub.api.http.controller import ApiController, service_names
from learning_hub.api.http.guards import check_request, require_scope
from learning_hub.api.http.operation import Operation
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse

# Plain ASGI, without Litestar's types.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def route(operation: Operation) -> Callable[[Callable[..., Awaitable[Response[Any]]]], HTTPRouteHandler]:
    """
    Make a Litestar route handler of a method of a controller, as *operation* declares it.

    The method takes `request: ApiRequest`, and by name the services that it needs.
    """
    return HTTPRouteHandler(
        _litestar_path(operation),
        http_method=[operation.method],
        guards=[require_scope],
        before_request=cast("Any", check_request),
        request_class=ApiRequest,
        status_code=200,  # every response sets its own
        include_in_schema=False,
        opt={"operation": operation},
        name=operation.operation_id,
    )


def direct_routes(router: Litestar) -> dict[tuple[str, str], Application]:
    """The operations that are direct, by method and path, with the same checks and handlers as their routes."""
    return {
        (operation.method, operation.path): _direct(handler)
        for handler in _handlers_of(router)
        if (operation := handler.opt["operation"]).is_direct
    }


def operations_of(controllers: Iterable[type[ApiController]]) -> list[Operation]:
    """The operations that *controllers* declare, in their order."""
    return [
        member.opt["operation"]
        for controller in controllers
        for member in vars(controller).values()
        if isinstance(member, HTTPRouteHandler)
    ]


def _handlers_of(router: Litestar) -> list[HTTPRouteHandler]:
    """The handlers of declared operations, bound to their controllers."""
    return [
        handler
        for route in router.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler) and "operation" in handler.opt
    ]


def _direct(handler: HTTPRouteHandler) -> Application:
    operation = handler.opt["operation"]
    names = service_names(handler)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(path_template=operation.path, route_handler=handler, path_params={})
        request = ApiRequest(cast("Any", scope), receive, send)
        await require_scope(request, handler)
        await check_request(request)
        services = context_of(scope).services
        response: ApiResponse = await handler.fn(request=request, **{name: services[name] for name in names})
        await _send(response, send)

    return respond


async def _send(response: ApiResponse, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    headers += [
        (b"content-type", str(response.media_type).encode()),
        (b"content-length", b"%d" % len(response.content)),
    ]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content, "more_body": False})


def _litestar_path(operation: Operation) -> str:
    return operation.path.replace("}", ":str}")
