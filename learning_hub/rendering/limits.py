"""The limits of templates. The kernel limits computing time and memory; `budget` the rest."""

from __future__ import annotations

# A subscription's `Templates` as JSON.
MAX_TEMPLATE_BYTES = 256 * 1024
MAX_TEMPLATE_LEVELS = 100
# Errors reported for one template; a person would not read more.
MAX_TEMPLATE_ERRORS = 100
# Computing time to compile the templates of a subscription. Ten thousand leaves take about a third of a second.
COMPILE_SECONDS = 3.0

# Computing time for one payload, once its templates are compiled.
RENDER_SECONDS = 1.0
# A payload as JSON. Data may be a hundred levels deep, at any depth of a template.
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_PAYLOAD_LEVELS = 200
# Iterations of all loops in one payload.
MAX_ITERATIONS = 100_000

# One intermediate text or list; more than any payload holds.
MAX_TEXT_CHARACTERS = 1_000_000
MAX_LIST_ITEMS = 100_000

# Memory of a render process. Its code takes about 60 MiB of it.
WORKER_MEMORY_BYTES = 512 * 1024 * 1024
