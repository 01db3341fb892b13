"""Ready-made mappings for what the source documents describe: one JSON document each, named like its PresetId."""

from __future__ import annotations

from importlib import resources

import msgspec

from learning_hub.model.json_values import read_json
from learning_hub.model.subscription import Preset


def load(preset_id: str) -> Preset:
    """The preset of a document in this folder, its numbers as they are spelled there."""
    text = (resources.files(__package__) / f"{preset_id}.json").read_bytes()
    return msgspec.convert({"PresetId": preset_id} | read_json(text), Preset)


PRESETS: dict[str, Preset] = {
    preset_id: load(preset_id)
    for preset_id in (
        "learningbuilder-imis-activity",
        "learningbuilder-import",
        "openwater-imis-panel",
        "topclass-imis-activity",
        "topclass-imis-panel",
    )
}
