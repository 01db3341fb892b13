"""
The renderer: what the API and the worker ask for payloads.

Rendering is done in a few processes of its own, so that no template can hold up the event loop, and one that takes too
long can be ended without harm to anything else.
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
from learning_hub.rendering.bookmark import Stage, Standing
from learning_hub.rendering.frames import Answer, CheckRequest, Problem, RenderRequest, WireJob
from learning_hub.rendering.job import Rendered, RenderJob
from learning_hub.rendering.limits import COMPILE_SECONDS
from learning_hub.rendering.process import ProcessDiedError, RenderingProcess
from learning_hub.rendering.turns import Turns

# Jobs that go to one process together; more are spread over the processes.
BATCH = 50


class Inspection(msgspec.Struct, frozen=True):
    """All that is wrong with a subscription's `Templates`, in their order, and what is known of their leaves."""

    problems: list[TemplateError]
    leaves: list[Leaf]


class Renderer:
    """
    Renders events through templates in child processes.

    Callers wait for a free process in turn by their templates, so that some that take long hold up only their own
    events. It needs no running loop to be made; the processes start when first needed and end with `close`, or by
    themselves when the hub dies.

    Args:
        processes: How many to render in side by side, 1 or more; only with 2 or more is there always one left for
            other templates than those that take long.
        time_limit_seconds: Computing time for one payload, once its templates are compiled.
        compile_limit_seconds: Computing time to compile or check the templates of a subscription.
        memory_limit_bytes: Memory of one process, its code included (about 60 MiB).
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        time_limit_seconds: float = 1.0,
        compile_limit_seconds: float = COMPILE_SECONDS,
        memory_limit_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        self._limit_seconds: dict[Stage, float] = {"compiling": compile_limit_seconds, "rendering": time_limit_seconds}
        self._processes = [
            RenderingProcess(
                time_limit_seconds=time_limit_seconds,
                compile_limit_seconds=compile_limit_seconds,
                memory_limit_bytes=memory_limit_bytes,
            )
            for _ in range(processes)
        ]
        self._turns = Turns(self._processes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def render(self, job: RenderJob) -> Rendered:
        """
        The payload for one event.

        Raises:
            TemplateError: No template serves the category (code `category_off` or `no_template`), or it cannot be
                rendered for this event, within its limits (`template_error`).
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
        batches = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)]
        results = await asyncio.gather(*(self._render_batch(batch) for batch in batches))
        return [result for batch in results for result in batch]

    async def check(self, templates: Mapping[str, Any] | str) -> list[TemplateError]:
        """All that is wrong with a subscription's `Templates`, in their order; empty when nothing is."""
        return (await self.inspect(templates)).problems

    async def inspect(self, templates: Mapping[str, Any] | str) -> Inspection:
        """
        What can be said of a subscription's `Templates` before any event comes.

        Args:
            templates: As JSON text, or as `read_json` gave them.

        Raises:
            Unavailable: No process can be started, or the renderer is closed.
        """
        text = templates if isinstance(templates, str) else write_json(templates).decode()
        async with self._turns.process(text) as process:
            try:
                async with aclosing(process.ask(CheckRequest(text), 1)) as answers:
                    async for answer in answers:
                        return Inspection([_error(problem) for problem in answer.problems], answer.leaves)
            except ProcessDiedError as death:
                return Inspection([self._epitaph(death, Standing("compiling", ALL_TEMPLATES))], [])
        return Inspection([], [])

    async def close(self) -> None:
        """End the processes; what they are rendering is given up with `Unavailable`."""
        await asyncio.gather(*(process.close() for process in self._processes))

    async def _render_batch(self, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
        async with self._turns.process(jobs[0].templates_json) as process:
            return await self._render_in(process, jobs)

    async def _render_in(self, process: RenderingProcess, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
        """The results of *jobs*; the one that the process dies over becomes an error, and a new one goes on."""
        results: list[Rendered | TemplateError] = []
        died_at: int | None = None
        while len(results) < len(jobs):
            left = jobs[len(results) :]
            try:
                async with aclosing(process.ask(_request(left), len(left))) as answers:
                    # One by one: what was answered before a death stays.
                    async for answer in answers:
                        results.append(_result(answer))  # noqa: PERF401
            except ProcessDiedError as death:
                # It may have been killed from outside, and be no fault of this job: a second try tells.
                if death.took_too_long:
                    self._turns.note_stopped(jobs[0].templates_json)
                if death.took_too_long or died_at == len(results):
                    results.append(self._epitaph(death, Standing("rendering", _place(jobs[len(results)]))))
                else:
                    died_at = len(results)
        return results

    def _epitaph(self, death: ProcessDiedError, otherwise: Standing) -> TemplateError:
        """The error for what a process died over, where it was; *otherwise* where it did not tell."""
        stage = death.standing.stage if death.standing else otherwise.stage
        place = (death.standing.place if death.standing else "") or otherwise.place
        if not death.took_too_long:
            return TemplateError("made the process that renders it die", place=place)
        doing = " to compile" if stage == "compiling" else ""
        limit = f"{self._limit_seconds[stage]:g} s"
        return TemplateError(f"took longer than {limit}{doing} and was stopped", place=place)


def _request(jobs: Sequence[RenderJob]) -> RenderRequest:
    indexes: dict[str, int] = {}
    wire_jobs = [
        WireJob(indexes.setdefault(job.templates_json, len(indexes)), job.category, job.scope_json, job.time_zone)
        for job in jobs
    ]
    return RenderRequest(list(indexes), wire_jobs)


def _result(answer: Answer) -> Rendered | TemplateError:
    if answer.problems:
        return _error(answer.problems[0])
    return Rendered(payload=read_json(answer.payload), payload_json=answer.payload, template_name=answer.template)


def _error(problem: Problem) -> TemplateError:
    error = TemplateError(problem.message, place=problem.place)
    error.code = problem.code
    return error


def _place(job: RenderJob) -> str:
    """The name of the template a job would have been rendered with; it could not be asked of the dead."""
    try:
        templates = read_json(job.templates_json)
    except InvalidInput:
        return ALL_TEMPLATES
    choice = choose_template(templates, job.category) if isinstance(templates, dict) else None
    return (choice.name if choice else None) or DEFAULT_TEMPLATE
