"""The renderer renders in worker processes, stops templates that take too long, and goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from learning_hub.model.errors import TemplateError, Unavailable
from learning_hub.model.json_values import read_json, write_json
from learning_hub.rendering import Rendered, Renderer, RenderJob, write_scope

# Busy for minutes in one call that no loop limit sees.
ENDLESS_CALL = "{{ (1..100000) | uniq | size }}"
ENDLESS_LOOPS = (
    "{% assign l = (1..2000) | reverse %}"
    "{% for i in (1..300) %}{% for j in (1..300) %}{% assign x = l | uniq %}{% endfor %}{% endfor %}"
)
# Where it matters that a template is stopped, not after how long: a whole second of each would only take the processor.
SHORT_LIMIT_SECONDS = 0.3
MEMORY_EATER = (
    "{% assign s = 'a' %}{% for i in (1..19) %}{% assign s = s | append: s %}{% endfor %}"
    "{% assign t = s | replace: 'a', s %}"
)


def job_of(leaf: Any, data: str = "{}", category: str | None = None) -> RenderJob:
    scope = write_scope(
        {"PublisherEventData": read_json(data)},
        participant_id="42",
        subscription_id="imis",
        subscription_name="To iMIS",
        program_id="NURSES",
        program_name="Nurses",
    )
    return RenderJob(
        templates_json=json.dumps({"_default": {"x": leaf}, "Off": None}),
        category=category,
        scope_json=scope,
        time_zone="America/New_York",
    )


def pids_of(renderer: Renderer) -> list[int]:
    return [process.pid for process in renderer._processes if process.pid]


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer(processes=1) as renderer:
        yield renderer


async def test_a_payload_comes_with_its_template_and_spelling(renderer: Renderer) -> None:
    """The payload has decimals, which keep their spelling as JSON text."""
    rendered = await renderer.render(job_of("{{ data.units }}", '{"units": 1.30}'))

    assert rendered == Rendered(payload={"x": Decimal("1.30")}, template_name="_default")
    assert write_json(rendered.payload) == b'{"x":1.30}'


async def test_many_jobs_give_their_results_in_order(renderer: Renderer) -> None:
    """Errors are values among the payloads, each at the index of its job."""
    leaves = [f"{{{{ {number} }}}}" if number % 7 else "{{ data.nope }}" for number in range(200)]

    results = await renderer.render_many([job_of(leaf) for leaf in leaves])

    assert [result.payload["x"] if isinstance(result, Rendered) else result.place for result in results] == [
        number if number % 7 else "_default.x" for number in range(200)
    ]


async def test_errors_keep_their_place_and_code(renderer: Renderer) -> None:
    """An error in the worker process is raised in the hub with its message, place and code."""
    with pytest.raises(TemplateError) as missing:
        await renderer.render(job_of({"y": ["{{ data.nope }}"]}))
    with pytest.raises(TemplateError) as off:
        await renderer.render(job_of("x", category="Off"))

    assert (missing.value.place, missing.value.message) == ("_default.x.y[0]", "data.nope is missing")
    assert off.value.code == "category_off"


async def test_analysis_lists_all_errors(renderer: Renderer) -> None:
    """Analysis lists each error with its place, for templates as text and as values."""
    templates = {"_default": {"a": "{{ ", "b": ["{{ x | nope }}"]}}

    errors = (await renderer.analyze(templates)).errors

    assert [error.place for error in errors] == ["_default.a", "_default.b[0]", "_default.b[0]"]
    again = (await renderer.analyze(json.dumps(templates))).errors
    assert [str(error) for error in again] == [str(error) for error in errors]
    assert (await renderer.analyze({"_default": {"a": "{{ data.x }}"}, "Off": None})).errors == []


@pytest.mark.parametrize("leaf", [ENDLESS_CALL, ENDLESS_LOOPS])
async def test_what_takes_too_long_is_stopped_while_the_loop_answers(renderer: Renderer, leaf: str) -> None:
    """A template that would run for minutes ends with an error, the others are rendered, the loop goes on."""
    await renderer.render(job_of("warm"))
    ticks = 0

    async def watch() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    watching = asyncio.create_task(watch())
    before, stopped, after = await renderer.render_many([job_of("a"), job_of(leaf), job_of("b")])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert isinstance(before, Rendered)
    assert isinstance(after, Rendered)
    assert isinstance(stopped, TemplateError)
    assert (stopped.message, stopped.place) == ("took longer than 1 s and was stopped", "_default.x")
    # A hundred in the second that it takes, where nobody else wants the processor; a loop that stood still has a few.
    assert ticks > 15


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        ("{{ (1..1000000000) | join }}", "a range may have"),
        ("{% assign n = 9 %}{% for i in (1..40) %}{% assign n = n | times: n %}{% endfor %}", "grew beyond"),
        (MEMORY_EATER, "needs more memory than a template may use"),
    ],
)
async def test_what_grows_without_bound_is_refused(renderer: Renderer, leaf: str, reason: str) -> None:
    """A template that exceeds a limit gets an error, and the same process goes on."""
    await renderer.render(job_of("warm"))
    pids = pids_of(renderer)

    with pytest.raises(TemplateError, match=reason):
        await renderer.render(job_of(leaf))

    assert (await renderer.render(job_of("b"))).payload == {"x": "b"}
    assert pids_of(renderer) == pids


@pytest.mark.parametrize(
    "leaf",
    ["{{ " * 60_000, "{% if data.x %}" * 10_000, "{{ data" + "[data" * 20_000, "{{ data | " + "size | " * 30_000],
)
async def test_analysis_of_hostile_templates_ends(renderer: Renderer, leaf: str) -> None:
    """Templates made to be hard to parse are rejected in time."""
    started = time.monotonic()

    errors = (await renderer.analyze({"_default": {"x": leaf}})).errors

    assert len(errors) == 1
    assert time.monotonic() - started < 60


async def test_a_template_of_ten_thousand_leaves_is_rendered(renderer: Renderer) -> None:
    """The most leaves that fit into a template are rendered in time."""
    template = {str(number): "{{ data.y }}" for number in range(10_000)}

    rendered = await renderer.render(job_of(template, '{"y": 1}'))

    assert sum(rendered.payload["x"].values()) == 10_000


async def test_a_stopped_template_has_the_place_of_its_leaf() -> None:
    """The error of a stopped template has the place of the leaf and the limit that was exceeded there."""
    long = {"a": "fine", "b": ["{{ data.x | default: nil }}" * 8000]}
    templates = json.dumps({"_default": {"x": long}})
    async with Renderer(processes=1, time_limit_seconds=0.5, compile_limit_seconds=0.1) as renderer:
        with pytest.raises(TemplateError) as rendering:
            await renderer.render(job_of({"a": "fine", "b": ["{{ data }}", ENDLESS_CALL], "c": "{{ data }}"}))
        with pytest.raises(TemplateError) as compiling:
            await renderer.render(job_of(long))
        (analyzing,) = (await renderer.analyze(templates)).errors

    assert (rendering.value.place, rendering.value.message) == (
        "_default.x.b[1]",
        "took longer than 0.5 s and was stopped",
    )
    for error in (compiling.value, analyzing):
        assert (error.place, error.message) == (
            "_default.x.b[0]",
            "took longer than 0.1 s to compile and was stopped",
        )


async def test_a_process_killed_from_outside_is_replaced(renderer: Renderer) -> None:
    """When a process dies, idle or busy, a new process renders its jobs."""
    await renderer.render(job_of("a"))
    os.kill(pids_of(renderer)[0], signal.SIGKILL)

    assert (await renderer.render(job_of("b"))).payload == {"x": "b"}

    rendering = asyncio.create_task(renderer.render_many([job_of(f"{number}") for number in range(50)]))
    await asyncio.sleep(0.002)
    os.kill(pids_of(renderer)[0], signal.SIGKILL)

    assert [result.payload for result in await rendering if isinstance(result, Rendered)] == [
        {"x": f"{number}"} for number in range(50)
    ]


async def test_a_cancelled_caller_leaves_no_answer_behind(renderer: Renderer) -> None:
    """After a caller gave up midway, the next one gets its own answer."""
    await renderer.render(job_of("warm"))
    given_up = asyncio.create_task(renderer.render(job_of(ENDLESS_CALL)))
    await asyncio.sleep(0.1)
    given_up.cancel()

    assert (await renderer.render(job_of("mine"))).payload == {"x": "mine"}
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_callers_share_the_processes() -> None:
    """Each of many concurrent callers gets its own payload from a few processes."""
    async with Renderer(processes=2) as renderer:
        results = await asyncio.gather(*(renderer.render(job_of(f"{number}")) for number in range(300)))
        pids = pids_of(renderer)

    assert [result.payload["x"] for result in results] == [f"{number}" for number in range(300)]
    assert len(pids) == 2


async def test_a_template_that_takes_long_holds_up_only_its_own_events() -> None:
    """While many events wait for templates that take too long, those of other templates are rendered between them."""
    async with Renderer(processes=2, time_limit_seconds=SHORT_LIMIT_SECONDS) as renderer:
        await asyncio.gather(*(renderer.render(job_of(f"warm {number}")) for number in range(20)))
        endless = [{str(kind): ENDLESS_CALL} for kind in (1, 2) for _ in range(12)]
        slow = [asyncio.create_task(renderer.render(job_of(leaf))) for leaf in endless]
        await asyncio.sleep(0)

        rendered = [await renderer.render(job_of(f"{number}")) for number in range(3)]

        # Each of the three waits for the jobs under way and one job of each other template, not for all before it.
        assert sum(task.done() for task in slow) <= 15
        assert [each.payload for each in rendered] == [{"x": "0"}, {"x": "1"}, {"x": "2"}]
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_one_template_leaves_a_process_for_the_others() -> None:
    """However many events of one template wait, an event of another template waits for none of them."""
    async with Renderer(processes=2, time_limit_seconds=SHORT_LIMIT_SECONDS) as renderer:
        await asyncio.gather(*(renderer.render(job_of(f"warm {number}")) for number in range(20)))
        slow = [asyncio.create_task(renderer.render(job_of(ENDLESS_CALL))) for _ in range(8)]
        await asyncio.sleep(0)

        await renderer.render(job_of("mine"))

        assert sum(task.done() for task in slow) <= 1
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_all_templates_that_take_long_leave_a_process_for_the_others() -> None:
    """All templates that were stopped lately together never use every process."""
    async with Renderer(processes=2, time_limit_seconds=SHORT_LIMIT_SECONDS) as renderer:
        endless = [{str(kind): ENDLESS_CALL} for kind in range(4)]
        await asyncio.gather(*(renderer.render(job_of(leaf)) for leaf in endless), return_exceptions=True)
        slow = [asyncio.create_task(renderer.render(job_of(leaf))) for leaf in endless for _ in range(5)]
        await asyncio.sleep(0)

        for number in range(5):
            await renderer.render(job_of(f"{number}"))

        # The process of its own had to start once; otherwise none waited for any of them.
        assert sum(task.done() for task in slow) <= 4
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_a_cancelled_waiter_takes_no_process(renderer: Renderer) -> None:
    """Callers that are cancelled while they wait leave the process to the others."""
    await renderer.render(job_of("warm"))
    slow = asyncio.create_task(renderer.render(job_of(ENDLESS_CALL)))
    waiting = [asyncio.create_task(renderer.render(job_of("given up"))) for _ in range(3)]
    await asyncio.sleep(0.05)
    for task in (*waiting, slow):
        task.cancel()

    assert (await renderer.render(job_of("mine"))).payload == {"x": "mine"}
    assert [type(result) for result in await asyncio.gather(slow, *waiting, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 4


async def test_a_closed_renderer_has_no_processes_and_says_so() -> None:
    """Closing ends the processes at once, also one at work, and later calls are refused."""
    renderer = Renderer(processes=1)
    await renderer.render(job_of("a"))
    [pid] = pids_of(renderer)
    working = asyncio.create_task(renderer.render(job_of(ENDLESS_CALL)))
    await asyncio.sleep(0.1)

    await renderer.close()

    assert not psutil.pid_exists(pid)
    with pytest.raises(Unavailable):
        await working
    with pytest.raises(Unavailable):
        await renderer.render(job_of("b"))


@pytest.mark.parametrize("delay_seconds", [0, 0.01, 0.05, 0.1, 0.15, 0.3])
async def test_a_renderer_can_be_closed_at_any_moment(delay_seconds: float) -> None:
    """Closing ends processes that start, work or are idle, and every waiting caller gets an error."""
    renderer = Renderer(processes=2)
    working = asyncio.create_task(renderer.render_many([job_of(ENDLESS_CALL)] * 60))
    await asyncio.sleep(delay_seconds)

    await renderer.close()

    with pytest.raises(Unavailable, match="The renderer is closed"):
        await working
    assert pids_of(renderer) == []


async def test_the_processes_do_not_see_the_hubs_secrets(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's settings are not in the environment of worker processes."""
    monkeypatch.setenv("LEARNING_HUB_SECRET_KEYS", "very-secret")

    await renderer.render(job_of("a"))

    assert not [key for key in psutil.Process(pids_of(renderer)[0]).environ() if key.startswith("LEARNING_HUB_")]


def test_the_processes_end_with_the_hub(tmp_path: Path) -> None:
    """When the hub is killed, its worker processes end by themselves."""
    script = tmp_path / "hub.py"
    script.write_text(
        "import asyncio\n"
        "from learning_hub.rendering import Renderer, RenderJob\n"
        "async def main():\n"
        "    renderer = Renderer(processes=1)\n"
        "    await renderer.render(RenderJob(\n"
        "        templates_json='{\"_default\": {}}', category=None, scope_json=b'{}'))\n"
        "    print(renderer._processes[0].pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        child = psutil.Process(int(hub.stdout.readline()))
        hub.kill()

    assert psutil.wait_procs([child], timeout=60)[1] == []


def test_a_renderer_is_made_without_a_running_loop() -> None:
    """A renderer can be made without a running loop and used in one later."""
    renderer = Renderer(processes=1)

    async def use() -> Rendered:
        async with renderer:
            return await renderer.render(job_of("a"))

    assert asyncio.run(use()).payload == {"x": "a"}
