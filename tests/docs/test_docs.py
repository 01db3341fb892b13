"""The documentation is true: the tutorial runs, and the references name all there is and nothing else."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import rich_click as click
from pages import BLOCK, ROOT, followed

from learning_hub.api.http.problem_kinds import PROBLEM_KINDS
from learning_hub.api.http.problems import ROUTING
from learning_hub.cli.root import learning_hub
from learning_hub.connectors.imis.activity import KEY_COLUMNS
from learning_hub.model.errors import LearningHubError
from learning_hub.model.failure import CAUSES
from learning_hub.presets import PRESETS
from learning_hub.rendering.compiler import compile_templates
from learning_hub.rendering.language import LANGUAGE, TAGS
from learning_hub.sandbox.faults import FAULTS
from learning_hub.services.test_sends import NOT_SENT, WHY_NOT_SENT

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = [*sorted(DOCS.rglob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG"))]
SOURCES = [file for file in (ROOT / "learning_hub").rglob("*.py") if "sandbox" not in file.relative_to(ROOT).parts]
WEIGHTS = ("debug", "info", "warning", "error", "exception", "critical")
TUTORIAL = DOCS / "tutorial" / "first-event.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial calls the hub with curl")
def test_the_tutorial_ends_with_a_delivered_event() -> None:
    """Every command of the tutorial runs, and what it says they print is what they print."""
    with followed(TUTORIAL, ports=("8000", "8090")) as page:
        for part in page.parts:
            page.follow(part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file that is there, and to a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _without_blocks(page)):
        if "://" in target:
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} leads to {target}"
        if anchor:
            assert anchor in _anchors(file), f"{page.name} leads to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_have_one_sentence_a_line(page: Path) -> None:
    """In the source of a page each sentence begins a line of its own, so that changes are easy to read."""
    prose = [line for line in _without_blocks(page).splitlines() if not line.lstrip().startswith(("|", "#"))]

    assert [line for line in prose if re.search(r"[a-z`)][.?!] [A-Z`*\[]", re.sub(r"e\.g\. ", "", line))] == []


def test_contributing_names_files_that_exist() -> None:
    """Each file that CONTRIBUTING.md names in its map and its recipes is there, but for those of an example."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [
        name
        for name in re.findall(r"`([\w/]+/[\w.]+\.(?:py|sql|md|json|env))`", page)
        if not re.search("NNNN|yours", name)
    ]

    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "learning_hub" / name).exists()] == []


def test_every_error_code_is_documented_and_no_other() -> None:
    """docs/reference/errors.md has a row for each code that an answer or a delivery can have."""
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    of_problems, of_deliveries = page.split("## Codes of deliveries")

    assert _first_cells(of_deliveries) == sorted(CAUSES)
    assert _first_cells(of_problems) == sorted(_codes_of_problems())


@pytest.mark.parametrize("code", CAUSES)
def test_delivery_codes_are_told_as_the_hub_tells_them(code: str) -> None:
    """Class, meaning and remedy of each code of a delivery are those that the hub shows."""
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8").split("## Codes of deliveries")[1]
    row = next(line for line in page.splitlines() if line.startswith(f"| `{code}` |"))
    _, told_class, meaning, remedy = (cell.strip() for cell in row.strip("|").split("|"))
    cause = CAUSES[code]

    assert (told_class, meaning, remedy) == (cause.failure_class or "none", cause.meaning, cause.advice)


def test_problem_codes_are_told_as_the_hub_tells_them() -> None:
    """Status, meaning and remedy of each code of a problem are those that /schema shows."""
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8").split("## Codes of deliveries")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line[:3] == "| `"
    ]

    assert rows == [(f"`{code}`", str(kind.status), kind.meaning, kind.remedy) for code, kind in PROBLEM_KINDS.items()]


def test_the_states_of_a_delivery_are_those_of_the_database() -> None:
    """The diagram and the table of docs/reference/delivery-states.md have the states of the CHECK in schema.sql."""
    page = (REFERENCE / "delivery-states.md").read_text(encoding="utf-8")
    schema = (ROOT / "schema.sql").read_text(encoding="utf-8")
    check = re.search(r"CONSTRAINT delivery_state_known CHECK \(state IN \((.*?)\)\)", schema, re.DOTALL)
    assert check
    states = sorted(re.findall(r"'(\w+)'", check[1]))
    arrows = re.findall(r"^ +(\S+) --> ([\w\[*\]]+)", page, re.MULTILINE)

    assert sorted({state for arrow in arrows for state in arrow} - {"[*]"}) == states
    assert _first_cells(page) == states


def test_every_log_event_is_documented_and_no_other() -> None:
    """docs/reference/events-and-metrics.md lists the names under which the hub logs, each with its weight."""
    page = (REFERENCE / "events-and-metrics.md").read_text(encoding="utf-8").partition("## Metrics")[0]
    logged = {("migration_applied", "info")}  # logged by a library, renamed in logs.py
    for file in SOURCES:
        logged |= set(_logged_in(file))

    assert sorted(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)) == sorted(logged)


def test_every_metric_is_documented_and_no_other() -> None:
    """The same page lists the metrics."""
    page = (REFERENCE / "events-and-metrics.md").read_text(encoding="utf-8")
    source = (ROOT / "learning_hub" / "metrics.py").read_text(encoding="utf-8")

    assert _first_cells(page.partition("## Metrics")[2]) == sorted(re.findall(r"\"(learning_hub_\w+)\"", source))


def test_every_filter_and_tag_is_documented_and_no_other() -> None:
    """docs/reference/templates.md lists every filter and tag that a template can use."""
    page = (REFERENCE / "templates.md").read_text(encoding="utf-8")
    filters, tags = page.partition("## Filters")[2].split("## Tags")

    names = [name for cell in re.findall(r"^\|(.+?)\|", filters, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(names) == sorted(LANGUAGE.filters)
    told = re.findall(r"`([a-z#]+)`", tags.split("\n\n")[2])
    assert sorted(told) == sorted(TAGS)


def test_every_fault_of_the_sandbox_is_documented_and_no_other() -> None:
    """docs/reference/imis.md has a row for each fault that the sandbox knows by name."""
    page = (REFERENCE / "imis.md").read_text(encoding="utf-8").partition("## Faults of the sandbox")[2]

    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == sorted(FAULTS)


def test_every_preset_is_documented() -> None:
    """docs/reference/presets.md has a part for each preset, with every key of its templates."""
    page = (REFERENCE / "presets.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## `([\w-]+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert sorted(parts) == sorted(PRESETS)
    for preset_id, preset in PRESETS.items():
        keys = {key for template in preset.templates.values() if template for key in template}
        assert [key for key in sorted(keys) if f"`{key}`" not in parts[preset_id]] == [], preset_id


def test_columns_for_record_keys_are_documented() -> None:
    """docs/reference/imis.md names each column of activities that ActivityKeyProperty may name, and no other."""
    page = (REFERENCE / "imis.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^  `ActivityKeyProperty` can name .*$", page, re.MULTILINE)

    assert {"ActivityKeyProperty", *KEY_COLUMNS} == set(re.findall("`([^`]+)`", line)) | {"UF_3"}


def test_templates_of_the_how_to_compile() -> None:
    """Every template shown in the how-to is one that the hub takes."""
    page = (DOCS / "how-to" / "write-templates.md").read_text(encoding="utf-8")
    leaves = [leaf for language, _, block in BLOCK.findall(page) if language == "liquid" for leaf in block.splitlines()]
    shown = [json.loads(block) for language, _, block in BLOCK.findall(page) if language == "json"]
    templates = {str(number): {"Leaf": leaf} for number, leaf in enumerate(leaves)}
    templates |= {f"shown {number}": each for number, each in enumerate(shown)}

    assert len(leaves) > 10
    assert [str(error) for error in compile_templates(json.dumps(templates)).errors] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_there_with_their_options(page: Path) -> None:
    """Every call of learning-hub in a page names a command and options that there are."""
    for _, _, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for call in re.findall(r"^(?:.*/|.*=\$KEY )?learning-hub (.+)$", block, re.MULTILINE):
            command: click.Command = learning_hub
            context = click.Context(command)
            words = shlex.split(call)
            while words and isinstance(command, click.Group):
                found = command.get_command(context, words.pop(0))
                assert found, f"{page.name}: learning-hub {call}"
                command = found
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, f"{page.name}: learning-hub {call}"


def test_the_changelog_has_this_version() -> None:
    """CHANGELOG.md has a part for the version of the code."""
    from learning_hub import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _logged_in(file: Path) -> Iterator[tuple[str, str]]:
    """The names of the events that a module logs, with their weights."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in WEIGHTS:
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
            name = node.args[0]
            for one in (name.body, name.orelse) if isinstance(name, ast.IfExp) else (name,):
                assert isinstance(one, ast.Constant), f"{file.name} logs under a name that is made"
                yield str(one.value), node.func.attr.replace("exception", "error")


def _codes_of_problems() -> set[str]:
    """Every code that stands in the sources, but for those that only deliveries have."""
    found = {code for code, _ in ROUTING.values()} | {"internal_error", LearningHubError.code, NOT_SENT}
    for file in SOURCES:
        if "connectors" not in file.relative_to(ROOT).parts:
            found |= set(re.findall(r"\bcode ?= ?\"([a-z_]+)\"", file.read_text(encoding="utf-8")))
    return found - (set(CAUSES) - {"template_error", "internal_error"}) | set(WHY_NOT_SENT)


def _first_cells(text: str) -> list[str]:
    """The names in the first column of the tables in *text*."""
    return sorted(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))


def _without_blocks(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _without_blocks(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
