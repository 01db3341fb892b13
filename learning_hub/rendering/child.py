"""
The rendering process: reads requests from its standard input, renders, answers; ends when the input ends.

Templates are written by people, and some do what nobody meant. Here they can do it: the kernel ends this process when
one job takes more computing time than it may, whatever it is doing, and refuses it memory beyond its share. The hub
starts another one.

    python -m learning_hub.rendering.child RENDER_SECONDS COMPILE_SECONDS BYTES [FILE]

The seconds are the computing time for one payload, and for the templates of a subscription; BYTES is the memory of the
process, FILE the number of the open file whose page says where it is.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from learning_hub.model.errors import LearningHubError, TemplateError
from learning_hub.model.json_values import read_json
from learning_hub.model.template import ALL_TEMPLATES
from learning_hub.rendering.bookmark import Bookmark
from learning_hub.rendering.document import CompiledTemplates, compile_templates, explain
from learning_hub.rendering.frames import (
    PREFIX_BYTES,
    Answer,
    CheckRequest,
    Problem,
    RenderRequest,
    WireJob,
    read_length,
    read_request,
    write_frame,
)
from learning_hub.rendering.job import complete_scope
from learning_hub.rendering.limits import MOST_TEMPLATE_BYTES

# Characters of templates kept compiled. A compiled leaf takes some hundred times its text.
MOST_KEPT = 2 * MOST_TEMPLATE_BYTES


class TemplateCache:
    """Compiled templates by their text, the least used dropped first; each compiled within *seconds*."""

    def __init__(self, seconds: float, bookmark: Bookmark) -> None:
        self._seconds = seconds
        self._bookmark = bookmark
        self._kept: OrderedDict[str, CompiledTemplates] = OrderedDict()
        self._characters = 0

    def get(self, templates: str) -> CompiledTemplates:
        """The compiled form of *templates*, compiled now if it is not kept."""
        if templates in self._kept:
            self._kept.move_to_end(templates)
            return self._kept[templates]
        while self._kept and self._characters + len(templates) > MOST_KEPT:
            dropped, _ = self._kept.popitem(last=False)
            self._characters -= len(dropped)
        compiled = self.compile(templates)
        self._kept[templates] = compiled
        self._characters += len(templates)
        return compiled

    def compile(self, templates: str) -> CompiledTemplates:
        """The compiled form of *templates*, not kept."""
        self._bookmark.put("compiling")
        with computing_time(self._seconds):
            return compile_templates(templates, self._bookmark)


@contextmanager
def computing_time(seconds: float) -> Iterator[None]:
    """Let the block take so many seconds of computing time; past it, the kernel ends the process."""
    if not hasattr(signal, "setitimer"):  # Windows: the hub's own, longer patience is all there is.
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def render(job: WireJob, templates: str, cache: TemplateCache, seconds: float, bookmark: Bookmark) -> Answer:
    """The answer to one job."""
    try:
        compiled = cache.get(templates)
        bookmark.put("rendering")
        with computing_time(seconds):
            scope = complete_scope(read_json(job.scope))
            name, payload = compiled.render(job.category, scope, job.time_zone, bookmark)
    except TemplateError as error:
        return Answer(problems=[_problem(error)])
    except LearningHubError as error:
        return Answer(problems=[Problem(error.detail, ALL_TEMPLATES, TemplateError.code)])
    # Whatever else goes wrong, such as memory running out outside of a leaf, is this job's error alone.
    except Exception as error:  # noqa: BLE001
        return Answer(problems=[Problem(explain(error), ALL_TEMPLATES, TemplateError.code)])
    return Answer(payload, name)


def check(templates: str, cache: TemplateCache) -> Answer:
    """The answer to a check: all problems of *templates*, and what is known of their leaves."""
    try:
        compiled = cache.compile(templates)
    except Exception as error:  # noqa: BLE001 (as above)
        return Answer(problems=[Problem(explain(error), ALL_TEMPLATES, TemplateError.code)])
    return Answer(problems=[_problem(problem) for problem in compiled.problems], leaves=compiled.leaves)


def serve(
    requests: BinaryIO, answers: BinaryIO, render_seconds: float, compile_seconds: float, bookmark: Bookmark
) -> None:
    """Answer *requests* until they end."""
    cache = TemplateCache(compile_seconds, bookmark)

    def send(answer: Answer) -> None:
        answers.write(write_frame(answer))
        answers.flush()

    send(Answer())
    while prefix := requests.read(PREFIX_BYTES):
        request = read_request(requests.read(read_length(prefix)))
        match request:
            case CheckRequest():
                send(check(request.templates, cache))
            case RenderRequest():
                for job in request.jobs:
                    send(render(job, request.templates[job.templates], cache, render_seconds, bookmark))


def main(arguments: list[str]) -> None:
    """Serve on standard input and output within the limits of the command line."""
    render_seconds, compile_seconds, memory_bytes = float(arguments[0]), float(arguments[1]), int(arguments[2])
    bookmark = Bookmark(int(arguments[3]) if len(arguments) > 3 else None)
    # Ctrl-C in a terminal reaches the whole group; the hub ends us when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _limit_memory(memory_bytes)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer, render_seconds, compile_seconds, bookmark)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    # Where the system knows no such limit (macOS refuses some), time and output are still bounded.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _problem(error: TemplateError) -> Problem:
    return Problem(error.message, error.place, error.code)


if __name__ == "__main__":
    main(sys.argv[1:])
