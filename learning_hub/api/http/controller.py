"""The base of every controller of the API."""

from __future__ import annotations

import inspect
from typing import Any

from litestar import Controller, Response, Router
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Scope

from learning_hub.api.http.context import context_of
from learning_hub.api.http.headers import allowed_methods


class ApiController(Controller):
    """
    Litestar's controller, which provides the services of the request's hub and answers OPTIONS with all methods.

    A handler gets the services by the names of its parameters. They come from the context of the request, so that one
    router serves every hub of a process.

    Litestar's own handler names the method of the first handler of a path alone. All operations of a path are in one
    controller.
    """

    def __init__(self, owner: Router) -> None:
        super().__init__(owner)
        handlers = [member for member in vars(type(self)).values() if isinstance(member, HTTPRouteHandler)]
        # Only its own: Litestar compares all that a handler could ask for with each other.
        self.dependencies = {name: _service(name) for handler in handlers for name in service_names(handler)}

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        """The handlers of the operations, after those that answer OPTIONS for their paths."""
        handlers = super().get_route_handlers()
        methods: dict[str, set[str]] = {}
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler):
                for path in handler.paths:
                    methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
        return [*(_options_handler(path, allowed) for path, allowed in methods.items()), *handlers]


def service_names(handler: HTTPRouteHandler) -> list[str]:
    """The services that *handler* asks for, by the names of its parameters."""
    return [name for name in inspect.signature(handler.fn).parameters if name not in ("self", "request")]


def _service(name: str) -> Provide:
    def from_context(scope: Scope) -> Any:
        return context_of(scope).services[name]

    return Provide(from_context, sync_to_thread=False)


def _options_handler(path: str, methods: set[str]) -> HTTPRouteHandler:
    allowed = allowed_methods(methods)

    async def answer_options() -> Response[bytes]:
        return Response(b"", status_code=204, headers={"Allow": allowed})

    return HTTPRouteHandler(path, http_method=["OPTIONS"], status_code=200, include_in_schema=False)(answer_options)
