"""
A sandbox iMIS: the REST API of an iMIS EMS site, in memory, to develop, demonstrate and test against.

It is a program of its own and imports nothing else of the hub. A request goes

    connection -> app -> (faults) -> tokens, api -> services -> table

`site` is the state, `seeds` what it starts with, `switches` what the iMIS reference leaves open, `journal`
every request for assertions, `control` the addresses below `/_sandbox`, `page` what a person sees at `/`.
"""

from learning_hub.sandbox import seeds
from learning_hub.sandbox.app import Application, build_app
from learning_hub.sandbox.serving import RunningSandbox, running_sandbox, serve
from learning_hub.sandbox.site import Site

__all__ = ["Application", "RunningSandbox", "Site", "build_sandbox", "running_sandbox", "seeds", "serve"]


def build_sandbox(username: str = seeds.USERNAME, password: str = seeds.PASSWORD) -> Application:
    """
    The sandbox as an ASGI application with a state of its own.

    It needs `serving` to cut connections; under another server or in process that fault raises instead.
    """
    return build_app(Site(username, password))
