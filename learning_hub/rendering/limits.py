"""What templates may use. Computing time and memory for one payload are set where the renderer is made."""

from __future__ import annotations

# A subscription's `Templates` as JSON.
MOST_TEMPLATE_BYTES = 256 * 1024
MOST_TEMPLATE_LEVELS = 100
# Problems looked for in one template; after so many nobody reads on.
MOST_PROBLEMS = 100
# Computing time to compile or check them. Ten thousand leaves take about a third of a second.
COMPILE_SECONDS = 3.0

# A payload as JSON. Data may be a hundred levels deep, and stand in a template as deep.
MOST_PAYLOAD_BYTES = 256 * 1024
MOST_PAYLOAD_LEVELS = 200
# Rounds of all loops in one payload.
MOST_ROUNDS = 100_000

# One text or list made on the way; more than any payload holds.
LONGEST_TEXT = 1_000_000
LONGEST_LIST = 100_000
