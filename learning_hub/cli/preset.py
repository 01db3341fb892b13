"""learning-hub preset …."""

from __future__ import annotations

from typing import Any

import rich_click as click

from learning_hub.cli.failures import FailedError
from learning_hub.cli.local import Hub, Options, read_options
from learning_hub.cli.nouns import add_list
from learning_hub.cli.options import json_option
from learning_hub.cli.printing import print_fields, print_json, values_of


@click.group()
def preset() -> None:
    """Presets: ready-made mappings for subscriptions."""


async def _page(hub: Hub, options: Options) -> Any:  # noqa: ARG001 - presets are the same for all
    from learning_hub.model.pagination import PageQuery
    from learning_hub.services.presets import page_of_presets

    return page_of_presets(read_options(options, PageQuery))


add_list(preset, _page, ["PresetId", "Name", "Connector", "EventTypes"], "List the presets.")


@preset.command()
@click.argument("preset_id", metavar="ID")
@json_option
def show(*, preset_id: str, as_json: bool) -> None:
    """Show a preset with its templates and a sample event."""
    from learning_hub.presets import PRESETS

    found = PRESETS.get(preset_id)
    if found is None:
        raise FailedError(f"There is no preset {preset_id}. The presets are: {', '.join(sorted(PRESETS))}.")
    if as_json:
        print_json(found)
    else:
        print_fields(values_of(found))
