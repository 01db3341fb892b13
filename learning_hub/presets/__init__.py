"""
Ready-made mappings for the publishers of the source documents: one JSON file for each, named like its PresetId.

A file with `"Fields": "basic"` is for a panel with the hub's basic fields: its templates override the basic mapping,
field by field.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec

from learning_hub.model.json_values import read_json
from learning_hub.model.panel import RECORD_KEY, as_added, basic_fields, basic_template
from learning_hub.model.preset import Preset


def load(preset_id: str) -> Preset:
    """The preset of a file in this folder, with its numbers as they are spelled there."""
    text = (resources.files(__package__) / f"{preset_id}.json").read_bytes()
    document = read_json(text)
    if document.pop("Fields", None) == "basic":
        document |= _with_basic_fields(document["Target"], document["Templates"])
    return msgspec.convert({"PresetId": preset_id} | document, Preset)


def _with_basic_fields(target: dict[str, Any], templates: dict[str, Any]) -> dict[str, Any]:
    basic = basic_template(map(as_added, basic_fields()))
    return {
        "Target": target | {"KeyProperty": RECORD_KEY.name},
        "Templates": {category: basic | template for category, template in templates.items()},
    }


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
