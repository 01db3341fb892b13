"""The pages about iMIS say what is there: the tests they name, the subjects of the check, the steps in iMIS."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from learning_hub.connectors.imis.rows_query import steps_to_show
from learning_hub.sandbox import seeds

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "imis.md").read_text(encoding="utf-8")
CHECK = ROOT / "learning_hub" / "connectors" / "imis"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def section(title: str) -> str:
    _, _, after = PAGE.partition(f"\n## {title}\n")
    assert after, title
    return after.partition("\n## ")[0]


def named_in(file: Path) -> set[str]:
    """The tests of a file, those in classes too."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    functions = (node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for name in functions if name.startswith("test_")}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=str)
def test_a_test_that_the_page_names_is_there(file: str, name: str) -> None:
    """Whichever table names it."""
    assert name in named_in(ROOT / file)


def test_whatever_looks_like_a_test_is_named_with_its_file() -> None:
    """In tables too, so that none is passed over."""
    assert set(re.findall(r"\btest_\w+(?!\w|\.py)", PAGE)) == {name for _, name in NAMED}


def test_each_point_of_the_client_has_its_tests() -> None:
    """Every row of the tables ends with a test at least."""
    rows = re.findall(r"^\| (.+) \|$", section("The client, point by point"), re.MULTILINE)
    told = [row.split(" | ") for row in rows if not row.startswith(("point", "answer", "---"))]
    assert {row[0].partition(".")[0] for row in told if row[0][:1].isdigit() and "." in row[0][:2]} == set("123456789")
    assert [row for row in told if "::test_" not in row[-1]] == []


def test_every_subject_of_the_check_is_documented_and_no_other() -> None:
    """As the connector spells them."""
    files = [CHECK / f"{name}.py" for name in ("account_checks", "target_checks", "subscriber_check")]
    spelled = {name for file in files for name in re.findall(r'subject="([\w-]+)"', file.read_text(encoding="utf-8"))}
    assert set(re.findall(r"^\| `([\w-]+)` \|", section("The check"), re.MULTILINE)) == spelled


def test_the_steps_of_the_how_to_are_those_of_the_check() -> None:
    """For the source that the presets name, word for word."""
    page = (ROOT / "docs" / "how-to" / "connect-imis.md").read_text(encoding="utf-8")
    told = re.findall(r"^\d\. (.+)$", page.partition("## Let staff see")[2], re.MULTILINE)
    columns = [column.name for column in seeds.PANEL_COLUMNS]
    assert [step.replace("*", "").replace("`", "") for step in told] == steps_to_show(seeds.PANEL, columns)
