"""
From an event and a template to a payload.

    renderer    what others use: renders and checks templates in processes of its own
    job         what goes to be rendered, and what comes back
    turns       who may have a process next
    process     one such process as the hub sees it
    child       the process itself
    bookmark    where a process is, for when it dies
    frames      what travels between the two
    document    template documents: compiled, rendered leaf by leaf
    inspection  what is wrong with a leaf, told before any event comes
    forecast    what a leaf will give
    constant    what leaves give that depend on no event
    language    the Liquid of the leaves
    filters     its filters: typed, arithmetic, times; the standard ones mended
    values      what values are as text and as JSON
    limits      what all of it may use
"""

from learning_hub.rendering.job import Rendered, RenderJob, write_scope
from learning_hub.rendering.renderer import Inspection, Renderer

__all__ = [
    "Inspection",
    "RenderJob",
    "Rendered",
    "Renderer",
    "write_scope",
]
