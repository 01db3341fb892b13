"""
Templates: from an event and a template to a payload.

What the rest of the hub uses:

    renderer            renders events and analyzes templates, in worker processes
    job                 what the renderer takes for one payload, and what it gives
    scope               the names that a template can use

Worker processes:

    worker_pool         lends processes to callers, with fair scheduling between templates
    worker_process      one process as the hub sees it
    worker_main         the program that runs in it
    messages            the messages between the two
    progress            which leaf a process works on, known also after it died

Templates in a worker process:

    compiler            from a template document to compiled templates
    compiled_templates  compiled templates, rendered leaf by leaf
    static_analysis     what is known of the value of a leaf before any event comes
    strictness          unknown names and filters, and comparisons of missing values, are errors
    error_messages      what went wrong, for the author of the template

The language of the leaves:

    language            Liquid, strict and bounded
    filters             every filter by name; the standard ones, corrected
    typed_filters       filters that give a value of a certain type
    arithmetic          filters that calculate, with decimals
    datetimes           reading and writing dates and times
    values              values as text, as JSON and in messages
    limits              what templates may use
"""

from learning_hub.rendering.job import Rendered, RenderJob
from learning_hub.rendering.renderer import Renderer, TemplateAnalysis
from learning_hub.rendering.scope import write_scope

__all__ = [
    "RenderJob",
    "Rendered",
    "Renderer",
    "TemplateAnalysis",
    "write_scope",
]
