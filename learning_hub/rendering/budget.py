"""The budget of a payload: what a template may still produce, and the error when it is used up."""

from __future__ import annotations

from io import StringIO

from liquid.exceptions import LiquidError

from learning_hub.rendering.limits import MAX_ITERATIONS, MAX_PAYLOAD_BYTES


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
