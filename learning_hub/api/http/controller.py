"""The base of every controller of the API."""

from __future__ import annotations

from litestar import Controller, Response
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from learning_hub.api.http.headers import allowed_methods


class ApiController(Controller):
    """
    Litestar's controller, which also answers OPTIONS with every method of a path.

    Litestar's own handler names the method of the first handler of a path alone. All operations of a path are in one
    controller.
    """

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        """The handlers of the operations, after those that answer OPTIONS for their paths."""
        handlers = super().get_route_handlers()
        methods: dict[str, set[str]] = {}
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler):
                for path in handler.paths:
                    methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
        return [*(_options_handler(path, allowed) for path, allowed in methods.items()), *handlers]


def _options_handler(path: str, methods: set[str]) -> HTTPRouteHandler:
    allowed = allowed_methods(methods)

    async def answer_options() -> Response[bytes]:
        return Response(b"", status_code=204, headers={"Allow": allowed})

    return HTTPRouteHandler(path, http_method=["OPTIONS"], status_code=200, include_in_schema=False)(answer_options)
