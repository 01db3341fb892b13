"""The limits of templates, and the budget of a payload. The kernel limits computing time and memory."""

from __future__ import annotations

from io import StringIO

from liquid.exceptions import LiquidError

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


class LimitReachedError(LiquidError):
    """A template exceeded a limit on output, loops, texts or lists."""

    def __init__(self, message: str) -> None:
        super().__init__(message, token=None)


class Budget:
    """The characters of text and the loop iterations that one payload may still use."""

    __slots__ = ("_characters", "_iterations")

    def __init__(self) -> None:
        self._characters = MAX_PAYLOAD_BYTES
        self._iterations = MAX_ITERATIONS

    def spend_characters(self, count: int) -> None:
        """
        Use up *count* characters.

        Raises:
            LimitReachedError: Fewer are left.
        """
        self._characters -= count
        if self._characters < 0:
            raise LimitReachedError("the output is larger than a payload may be")

    def spend_iterations(self, count: int) -> None:
        """
        Use up *count* iterations of a loop.

        Raises:
            LimitReachedError: Fewer are left.
        """
        self._iterations -= count
        if self._iterations < 0:
            raise LimitReachedError(f"the loops of the template have more than {MAX_ITERATIONS:,} iterations")


class BoundedText(StringIO):
    """Collects text within a budget and keeps every line end as it is."""

    def __init__(self, budget: Budget) -> None:
        # With newline="" nothing is translated; python-liquid's own bounded stream turns CR and CRLF into LF.
        super().__init__(newline="")
        self._budget = budget

    def write(self, text: str, /) -> int:
        self._budget.spend_characters(len(text))
        return super().write(text)
