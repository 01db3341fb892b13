"""Presets: ready-made mappings for subscriptions."""

from __future__ import annotations

from learning_hub.model.pagination import Listing, Page, PageQuery
from learning_hub.model.preset import Preset
from learning_hub.presets import PRESETS

LISTING = Listing("presets", ordered_by="preset_id")


def page_of_presets(query: PageQuery) -> Page[Preset]:
    """The presets, ordered by id."""
    after = LISTING.after(query.cursor)
    found = [preset for preset_id, preset in sorted(PRESETS.items()) if preset_id > after]
    return LISTING.page(found[: query.limit + 1], query.limit)
