"""
The renderer of hubs within the test run, whose processes stay from one test to the next.

To start one takes a quarter of a second of computing time, which is more than most tests need for all the rest. The
processes are real ones and are replaced when they die; tests of the renderer itself make their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from learning_hub.model.errors import TemplateError
from learning_hub.rendering import Rendered, Renderer, RenderJob
from learning_hub.rendering.renderer import TemplateAnalysis

T = TypeVar("T")


class _Keeper:
    """Renderers by their number of processes, on a loop that outlives those of the tests."""

    def __init__(self) -> None:
        self._renderers: dict[int, Renderer] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kept renderers", daemon=True)
        self._thread.start()

    def renderer(self, processes: int) -> Renderer:
        if processes not in self._renderers:
            self._renderers[processes] = Renderer(processes=processes)
        return self._renderers[processes]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What *work* gives, done on the loop of the renderers; it is cancelled with its caller."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        for renderer in self._renderers.values():
            asyncio.run_coroutine_threadsafe(renderer.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def kept_renderers() -> Iterator[type[Renderer]]:
    """A class to use in the place of `Renderer`; the processes end with the block."""
    keeper = _Keeper()

    class KeptRenderer(Renderer):
        """Renders in processes that others have used before, and leaves them to those who come after."""

        def __init__(self, *, processes: int = 2) -> None:
            super().__init__(processes=0)
            self._kept = keeper.renderer(processes)

        async def render_many(self, jobs: Sequence[RenderJob]) -> list[Rendered | TemplateError]:
            return await keeper.run(self._kept.render_many(jobs))

        async def analyze(self, templates: Mapping[str, Any] | str, *, preview_for: str = "") -> TemplateAnalysis:
            return await keeper.run(self._kept.analyze(templates, preview_for=preview_for))

    try:
        yield KeptRenderer
    finally:
        keeper.close()
