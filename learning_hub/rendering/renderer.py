"""
The renderer: renders events and analyzes templates for the API and the worker.

Both run in a few render processes, so that no template can block the event loop, and a template that takes too long can
be stopped without affecting anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

import msgspec

from learning_hub.model.errors import InvalidInput, TemplateError
from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.template import ALL_TEMPLATES, DEFAULT_TEMPLATE, Leaf, choose_template
from learning_hub.rendering.job import Rendered, RenderJob
from learning_hub.rendering.limits import COMPILE_SECONDS, RENDER_SECONDS, WORKER_MEMORY_BYTES
from learning_hub.rendering.messages import (
    AnalysisRequest,
    RenderRequest,
    RenderResult,
    WireError,
    WireJob,
    read_analysis_result,
    read_render_result,
)
from learning_hub.rendering.progress import Progress, Stage
from learning_hub.rendering.worker_pool import WorkerPool
from learning_hub.rendering.worker_process import ProcessDiedError, WorkerProcess

# The most jobs that are sent to one process together; more are distributed over the processes.
BATCH_SIZE = 50


class TemplateAnalysis(msgspec.Struct, frozen=True):
    """All errors of a subscription's `Templates`, in their order, and what is known of their leaves."""

    errors: list[TemplateError]
    leaves: list[Leaf]


class Renderer:
    """
    Renders events through templates in render processes.

    Deliveries wait for a free process under fair scheduling by their templates, so that slow templates delay only their
    own events. Previews and analyses wait for deliveries, under fair scheduling by their callers, and never hold all
    processes.

    A renderer can be created without a running loop. Its processes start when first needed, and end with
    `close`, or by themselves when the hub dies.

    Args:
        processes: Render processes, 1 or more; only with 2 or more are slow templates prevented from using all of them.
        time_limit_seconds: Computing time for one payload, once its templates are compiled.
        compile_limit_seconds: Computing time to compile or analyze the templates of a subscription.
        memory_limit_bytes: Memory of one process, its code included.
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        time_limit_seconds: float = RENDER_SECONDS,
        compile_limit_seconds: float = COMPILE_SECONDS,
        memory_limit_bytes: int = WORKER_MEMORY_BYTES,
    ) -> None:
        self._limit_seconds: dict[Stage, float] = {"compiling": compile_limit_seconds, "rendering": time_limit_seconds}
        self._processes = [
            WorkerProcess(
                render_seconds=time_limit_seconds,
                compile_seconds=compile_limit_seconds,
                memory_bytes=memory_limit_bytes,
            )
            for _ in range(processes)
        ]
        self._pool = WorkerPool(self._processes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def render(self, job: RenderJob) -> Rendered:
        """
        The payload for one event.

        Raises:
            TemplateError: No template serves the category (code `category_off` or `no_template`), or the template
                cannot be rendered for this event within its limits (`template_error`).
            Unavailable: No process can be started, or the renderer is closed.
        """
        [result] = await self.render_many([job])
        if isinstance(result, TemplateError):
            raise result
        return result

    async def render_many(self, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
        """
        The payload of each job or its error, in their order.

        Raises:
            Unavailable: No process can be started, or the renderer is closed.
        """
        batches = [jobs[start : start + BATCH_SIZE] for start in range(0, len(jobs), BATCH_SIZE)]
        results = await asyncio.gather(*(self._render_batch(batch) for batch in batches))
        return [result for batch in results for result in batch]

    async def analyze(self, templates: Mapping[str, Any] | str, *, preview_for: str = "") -> TemplateAnalysis:
        """
        The static analysis of a subscription's `Templates`.

        Args:
            templates: As JSON text, or as `read_json` gave them.
            preview_for: The id of the key whose caller waits for it.

        Raises:
            Unavailable: No process can be started, or the renderer is closed.
        """
        text = templates if isinstance(templates, str) else write_json(templates).decode()
        async with self._pool.worker(text, preview_for=preview_for) as process:
            try:
                async with aclosing(process.exchange(AnalysisRequest(text), 1, read_analysis_result)) as results:
                    result = await anext(results)
            except ProcessDiedError as death:
                return TemplateAnalysis([self._death_error(death, Progress("compiling", ALL_TEMPLATES))], [])
        return TemplateAnalysis([_error(error) for error in result.errors], result.leaves)

    async def close(self) -> None:
        """End the processes; callers that wait for a payload get `Unavailable`."""
        await asyncio.gather(*(process.close() for process in self._processes))

    async def _render_batch(self, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
        async with self._pool.worker(jobs[0].templates_json, preview_for=jobs[0].preview_for) as process:
            return await self._render_in(process, jobs)

    async def _render_in(self, process: WorkerProcess, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
        """The results of *jobs*. If the process dies over a job, that job gets an error and a new process continues."""
        results: list[Rendered | TemplateError] = []
        died_at: int | None = None
        while len(results) < len(jobs):
            left = jobs[len(results) :]
            try:
                async with aclosing(process.exchange(_request(left), len(left), read_render_result)) as responses:
                    # Results are appended one by one, so that those from before a death are kept.
                    async for response in responses:
                        results.append(_result(response))  # noqa: PERF401
            except ProcessDiedError as death:
                if death.took_too_long and jobs[0].preview_for is None:
                    self._pool.mark_slow(jobs[0].templates_json)
                # A process may have been killed from outside, so only the second death over a job is the job's error.
                if death.took_too_long or died_at == len(results):
                    progress = Progress("rendering", _template_name(jobs[len(results)]))
                    results.append(self._death_error(death, progress))
                else:
                    died_at = len(results)
        return results

    def _death_error(self, death: ProcessDiedError, assumed: Progress) -> TemplateError:
        """The error of the leaf at which a process died, by its last progress, or *assumed* if that is not known."""
        stage = death.progress.stage if death.progress else assumed.stage
        place = (death.progress.place if death.progress else "") or assumed.place
        if not death.took_too_long:
            return TemplateError("crashed the process that renders it", place=place)
        action = " to compile" if stage == "compiling" else ""
        limit = f"{self._limit_seconds[stage]:g} s"
        return TemplateError(f"took longer than {limit}{action} and was stopped", place=place)


def _request(jobs: Sequence[RenderJob]) -> RenderRequest:
    indexes: dict[str, int] = {}
    wire_jobs = [
        WireJob(indexes.setdefault(job.templates_json, len(indexes)), job.category, job.scope_json, job.time_zone)
        for job in jobs
    ]
    return RenderRequest(list(indexes), wire_jobs)


def _result(result: RenderResult) -> Rendered | TemplateError:
    if result.error is not None:
        return _error(result.error)
    return Rendered(payload=read_json(result.payload), template_name=result.template_name)


def _error(wire: WireError) -> TemplateError:
    error = TemplateError(wire.message, place=wire.place)
    error.code = wire.code
    return error


def _template_name(job: RenderJob) -> str:
    """The name of the template for a job whose process died before it answered."""
    try:
        templates = read_json(job.templates_json)
    except InvalidInput:
        return ALL_TEMPLATES
    choice = choose_template(templates, job.category) if isinstance(templates, dict) else None
    return (choice.name if choice else None) or DEFAULT_TEMPLATE
