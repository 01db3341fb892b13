"""
The part of docs/reference/delivery-states.md that is made from the list of transitions.

    .venv/bin/python tests/delivery_states_page.py

writes it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from learning_hub.model.delivery_transitions import START, TRANSITIONS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "delivery-states.md"
BEGIN = "<!-- made by tests/delivery_states_page.py: begin -->\n"
END = "<!-- made by tests/delivery_states_page.py: end -->\n"


def made() -> str:
    """The diagram, and a table with a row for each transition."""
    names: dict[tuple[str, str], list[str]] = {}
    for transition in TRANSITIONS:
        for before in transition.before:
            told = names.setdefault((before, transition.after), [])
            if transition.name not in told:
                told.append(transition.name)
    leaving = {before for before, _ in names}
    final = [state for state in dict.fromkeys(after for _, after in names) if state not in leaving]
    diagram = [f"    {before} --> {after}: {', '.join(told)}" for (before, after), told in names.items()]
    diagram += [f"    {state} --> [*]" for state in final]
    rows = [
        f"| {transition.name} | {_told(transition.before)} | `{transition.after}` | {transition.cause} "
        f"| `{transition.statement}` |"
        for transition in TRANSITIONS
    ]
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            "    direction LR",
            *diagram,
            "```",
            "",
            "| transition | from | to | when | statement |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _told(states: Sequence[str]) -> str:
    return ", ".join("(made)" if state == START else f"`{state}`" for state in states)


def written(page: str) -> str:
    """The part between the marks as it stands in *page*."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(head + BEGIN + made() + END + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
