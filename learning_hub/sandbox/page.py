"""What a person sees at `/`: contacts, activities and panel rows as they arrive, and how to steer it."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from learning_hub.sandbox import control
from learning_hub.sandbox.request import Request
from learning_hub.sandbox.site import Site
from learning_hub.sandbox.state import state_of
from learning_hub.sandbox.switches import describe_switches

SHOWN_ROWS = 50

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
)


def render(site: Site, request: Request) -> str:
    """The page, newest rows first, at most 50 of each kind; it fetches itself again every few seconds."""
    state = state_of(site)
    return _pages.get_template("page.html").render(
        address=f"http://{request.headers.get('host', 'localhost')}{site.switches.base_path}",
        username=site.account.username,
        contacts=state["Contacts"],
        activities=state["Activities"][: -SHOWN_ROWS - 1 : -1],
        activity_count=len(state["Activities"]),
        panels=[(panel, state["Panels"][panel.name][: -SHOWN_ROWS - 1 : -1]) for panel in site.panels.values()],
        activity_types=state["ActivityTypes"],
        faults=[fault.as_json() for fault in site.faults.posted],
        requests=[entry.as_json() for entry in list(site.journal.entries)[:-16:-1]],
        request_count=site.journal.total,
        switches=describe_switches(site.switches),
        control=(control.__doc__ or "").strip(),
        shown_rows=SHOWN_ROWS,
    )
