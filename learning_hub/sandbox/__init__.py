"""
A sandbox iMIS: the REST API of an iMIS EMS site, in memory, to develop, demonstrate and test against.

It is a program of its own and imports nothing else of the hub. A request passes through

    server, protocol -> app -> faults -> tokens, api -> services -> table

`site` holds the state, `seeds` the initial data. `switches` choose the behaviour where the iMIS reference is unclear,
`faults` are failures on request, and `request_log` keeps requests for assertions. `control` serves the addresses below
`/_sandbox`, `page` the HTML page at `/`.

"The reference" and section numbers in docstrings refer to a description of the iMIS REST API that is not part of this
repository; `docs/reference/imis.md` lists the points of it that the sandbox implements.
"""

from learning_hub.sandbox import seeds
from learning_hub.sandbox.app import Application, build_app
from learning_hub.sandbox.server import RunningSandbox, running_sandbox, serve
from learning_hub.sandbox.site import Site

__all__ = ["Application", "RunningSandbox", "Site", "build_sandbox", "running_sandbox", "seeds", "serve"]


def build_sandbox(username: str = seeds.USERNAME, password: str = seeds.PASSWORD) -> Application:
    """
    The sandbox as an ASGI application with a state of its own.

    Only `server` can cut connections; under another server or in process those faults raise ConnectionAbortedError.
    """
    return build_app(Site(username, password))
