"""What every test has to say."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_test_says_in_a_sentence_what_is_true() -> None:
    """Below its name each test has a docstring whose first line is a sentence."""
    silent = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            said = (ast.get_docstring(node) or "").partition("\n\n")[0]
            if not said.endswith((".", ":")):
                silent.append(f"{path.relative_to(TESTS)}:{node.lineno} {node.name}")
    assert silent == []
