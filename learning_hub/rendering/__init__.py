"""
Templates: makes payloads from events and templates.

The modules that the rest of the hub uses:

    renderer            renders events and analyzes templates, in render processes
    job                 the input and the result of the renderer for one payload
    scope               the names that a template can use

Render processes:

    worker_pool         lends render processes to callers, with fair scheduling between templates
    worker_process      one render process as the hub sees it
    worker_main         the program that runs in a render process
    messages            the messages between the hub and a render process
    progress            the leaf that a render process works on, readable even after it died

Templates in a render process:

    compiler            compiles a template document
    compiled_templates  compiled templates, rendered leaf by leaf
    static_analysis     what is known of the value of a leaf before any event
    strictness          unknown names and filters, and comparisons of missing values, are errors
    error_messages      error messages for the author of the template

The language of the leaves:

    language            Liquid, strict and bounded
    filters             every filter by name; the standard ones, corrected
    typed_filters       filters that give a value of a certain type
    arithmetic          filters that calculate, with decimals
    datetimes           reading and writing dates and times
    values              values as text, as JSON and in messages
    limits              the limits of templates
    budget              what a payload may still use of them
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
