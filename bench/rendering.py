"""Payloads rendered a second."""

from __future__ import annotations

import asyncio
import json

from bench.deliveries import TEMPLATE
from bench.events import EVENT
from bench.results import Results
from learning_hub.rendering import Renderer, RenderJob, write_scope

RENDERS = 1_000


async def render_round(results: Results) -> None:
    """Seven-field payloads a second through one render process."""
    scope = write_scope(
        EVENT, participant_id="10042", subscription_id="s", subscription_name="S", program_id="BENCH", program_name="B"
    )
    job = RenderJob(templates_json=json.dumps({"_default": TEMPLATE}), category="Online", scope_json=scope)
    async with Renderer(processes=1) as renderer:
        await renderer.render(job)
        began = asyncio.get_running_loop().time()
        await renderer.render_many([job] * RENDERS)
        results.figures["render_per_second"].append(RENDERS / (asyncio.get_running_loop().time() - began))
