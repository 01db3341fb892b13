"""
The program of a render process: reads requests from standard input and answers them until the input ends.

A template can use far more time or memory than its author meant. In this process it does no harm: the kernel ends the
process when one job takes more computing time than its limit, and refuses memory beyond the limit of the process. The
hub then starts another render process.

    python -m learning_hub.rendering.worker_main RENDER_SECONDS COMPILE_SECONDS MEMORY_BYTES [FILE]

The seconds are the computing time for one payload, and to compile the templates of a subscription. MEMORY_BYTES is the
memory of the process. FILE is the number of the open file to which the process writes its progress.
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
from learning_hub.rendering.compiled_templates import CompiledTemplates
from learning_hub.rendering.compiler import compile_templates
from learning_hub.rendering.error_messages import describe_error
from learning_hub.rendering.limits import MAX_TEMPLATE_BYTES
from learning_hub.rendering.messages import (
    PREFIX_BYTES,
    AnalysisRequest,
    AnalysisResult,
    RenderRequest,
    RenderResult,
    WireError,
    WireJob,
    read_length,
    read_request,
    write_frame,
    write_message,
)
from learning_hub.rendering.progress import ProgressWriter
from learning_hub.rendering.scope import complete_scope

# Characters of templates that stay compiled. A compiled leaf takes about a hundred times the memory of its text.
MAX_CACHED_CHARACTERS = 2 * MAX_TEMPLATE_BYTES


class TemplateCache:
    """Compiled templates by their text; the least recently used are dropped first."""

    def __init__(self, compile_seconds: float, progress: ProgressWriter) -> None:
        self._compile_seconds = compile_seconds
        self._progress = progress
        self._compiled: OrderedDict[str, CompiledTemplates] = OrderedDict()
        self._characters = 0

    def get(self, templates: str) -> CompiledTemplates:
        """The compiled form of *templates*, compiled now if it is not in the cache."""
        if templates in self._compiled:
            self._compiled.move_to_end(templates)
            return self._compiled[templates]
        while self._compiled and self._characters + len(templates) > MAX_CACHED_CHARACTERS:
            dropped, _ = self._compiled.popitem(last=False)
            self._characters -= len(dropped)
        compiled = self.compile(templates)
        self._compiled[templates] = compiled
        self._characters += len(templates)
        return compiled

    def compile(self, templates: str) -> CompiledTemplates:
        """The compiled form of *templates*, which does not enter the cache."""
        self._progress.write("compiling")
        with limited_computing_time(self._compile_seconds):
            return compile_templates(templates, self._progress)


@contextmanager
def limited_computing_time(seconds: float) -> Iterator[None]:
    """Limit the computing time of the block; when the block takes longer, the kernel ends the process."""
    if not hasattr(signal, "setitimer"):  # Windows: only the hub's own, longer time limit applies.
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def render(
    job: WireJob, templates: str, cache: TemplateCache, render_seconds: float, progress: ProgressWriter
) -> RenderResult:
    """The payload of one job, or its error."""
    try:
        compiled = cache.get(templates)
        progress.write("rendering")
        with limited_computing_time(render_seconds):
            scope = complete_scope(read_json(job.scope))
            name, payload = compiled.render(job.category, scope, job.time_zone, progress)
    except TemplateError as error:
        return RenderResult(error=_wire_error(error))
    except LearningHubError as error:
        return RenderResult(error=WireError(error.detail, ALL_TEMPLATES, TemplateError.code))
    # Any other error, such as memory that runs out outside of a leaf, must fail only this job.
    except Exception as error:  # noqa: BLE001
        return RenderResult(error=WireError(describe_error(error), ALL_TEMPLATES, TemplateError.code))
    return RenderResult(payload, name)


def analyze(templates: str, cache: TemplateCache) -> AnalysisResult:
    """All errors of *templates*, and what is known of their leaves."""
    try:
        compiled = cache.compile(templates)
    except Exception as error:  # noqa: BLE001 (as above)
        return AnalysisResult(errors=[WireError(describe_error(error), ALL_TEMPLATES, TemplateError.code)])
    return AnalysisResult([_wire_error(error) for error in compiled.errors], compiled.leaves)


def serve(
    requests: BinaryIO, responses: BinaryIO, render_seconds: float, compile_seconds: float, progress: ProgressWriter
) -> None:
    """Answer *requests* until they end."""
    cache = TemplateCache(compile_seconds, progress)

    def send(frame: bytes) -> None:
        responses.write(frame)
        responses.flush()

    send(write_frame())
    while prefix := requests.read(PREFIX_BYTES):
        request = read_request(requests.read(read_length(prefix)))
        match request:
            case AnalysisRequest():
                send(write_message(analyze(request.templates, cache)))
            case RenderRequest():
                for job in request.jobs:
                    templates = request.templates[job.templates]
                    send(write_message(render(job, templates, cache, render_seconds, progress)))


def main(arguments: list[str]) -> None:
    """Serve on standard input and output within the limits of the command line."""
    render_seconds, compile_seconds, memory_bytes = float(arguments[0]), float(arguments[1]), int(arguments[2])
    progress = ProgressWriter(int(arguments[3]) if len(arguments) > 3 else None)
    # Ctrl-C in a terminal reaches the whole process group; the hub ends this process when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _limit_memory(memory_bytes)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer, render_seconds, compile_seconds, progress)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    # If the system does not support such a limit (macOS refuses some), time and output are still bounded.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _wire_error(error: TemplateError) -> WireError:
    return WireError(error.message, error.place, error.code)


if __name__ == "__main__":
    main(sys.argv[1:])
