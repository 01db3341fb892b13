"""learning-hub preset …."""

from __future__ import annotations

import rich_click as click

from learning_hub.cli.failing import FailedError
from learning_hub.cli.local import ask
from learning_hub.cli.nouns import add_list, path_of
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_fields, print_json


@click.group()
def preset() -> None:
    """Presets: ready-made mappings for subscriptions."""


add_list(preset, "presets", ["PresetId", "Name", "Connector", "EventTypes"], "List the presets.")


@preset.command()
@click.argument("preset_id", metavar="ID")
@json_option
def show(*, preset_id: str, as_json: bool) -> None:
    """Show a preset with its templates and a sample event."""
    from learning_hub.model.json_values import write_json

    presets = ask("GET", path_of("presets"), {"Limit": 1000}).value["Items"]
    found = next((one for one in presets if one["PresetId"] == preset_id), None)
    if found is None:
        names = ", ".join(one["PresetId"] for one in presets)
        raise FailedError(f"There is no preset {preset_id}. There are: {names}.")
    if as_json:
        print_json(write_json(found))
    else:
        print_fields(found)
