"""A column of a stored entity: its kind, its width, and the conversion of values that clients send for it."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any, Literal
from zoneinfo import ZoneInfo

from learning_hub.sandbox import wire
from learning_hub.sandbox.switches import Switches

Kind = Literal["text", "integer", "decimal", "boolean", "date", "money", "guid", "binary"]

_INT32 = 2**31
# Tools for iMIS write this date for "no date".
_NO_DATE = datetime(1, 1, 1)  # noqa: DTZ001 - iMIS dates carry no zone.


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    One column.

    Attributes:
        name: As iMIS spells it.
        max_length: The maximum length of a text in UTF-16 code units; None for no limit.
        precision: The number of digits of a decimal.
        scale: The number of digits after the decimal point; more are rounded half up, as in SQL Server.
        is_date_only: The time of a date is dropped.
        is_assigned: iMIS fills it; a value that a client sends is ignored.
        is_identity: It is part of the key.
        is_party: It holds the id of the contact.
        extra: Members of its definition that have no effect here and are returned as sent.
    """

    name: str
    kind: Kind = "text"
    max_length: int | None = None
    precision: int = 18
    scale: int = 4
    is_date_only: bool = False
    is_required: bool = False
    is_assigned: bool = False
    is_identity: bool = False
    is_party: bool = False
    is_visible: bool = True
    caption: str | None = None
    description: str | None = None
    extra: tuple[tuple[str, Any], ...] = ()

    def read(self, sent: Any, switches: Switches) -> Any:
        """
        The value to store for *sent*, which may be wrapped or raw; None for null.

        Raises:
            ValueError: The column cannot hold it; the message is for the client.
        """
        raw = wire.unwrap(sent)
        if isinstance(raw, dict | list):
            msg = f"{self.name} must be a single value."
            raise ValueError(msg)  # noqa: TRY004 - callers catch one error type.
        if raw is None or (raw == "" and (self.kind != "text" or switches.empty_text == "null")):
            return None
        readers = {
            "text": self._read_text,
            "integer": self._read_integer,
            "decimal": self._read_decimal,
            "money": self._read_decimal,
            "boolean": self._read_boolean,
            "date": self._read_date,
            "guid": self._read_text,
            "binary": self._read_binary,
        }
        return readers[self.kind](raw, switches)

    def _read_text(self, raw: Any, switches: Switches) -> str:
        del switches
        text = raw if isinstance(raw, str) else str(raw)
        if self.max_length is not None and wire.utf16_length(text) > self.max_length:
            msg = f"{self.name} must not be longer than {self.max_length} characters."
            raise ValueError(msg)
        return text

    def _read_integer(self, raw: Any, switches: Switches) -> int:
        del switches
        value = None if isinstance(raw, bool) else _decimal(raw)
        if value is None or value != value.to_integral_value() or not -_INT32 <= value < _INT32:
            msg = f"{self.name} must be a whole number."
            raise ValueError(msg)
        return int(value)

    def _read_decimal(self, raw: Any, switches: Switches) -> Decimal:
        del switches
        value = None if isinstance(raw, bool) else _decimal(raw)
        if value is None:
            msg = f"{self.name} must be a number."
            raise ValueError(msg)
        if value and value.adjusted() >= self.precision - self.scale:
            msg = f"{self.name} must be below 1E{self.precision - self.scale}."
            raise ValueError(msg)
        exponent = value.as_tuple().exponent
        with localcontext(prec=self.precision + 2):
            if isinstance(exponent, int) and not -self.scale <= exponent <= 0:
                step = Decimal(1).scaleb(-self.scale if exponent < 0 else 0)
                value = value.quantize(step, rounding=ROUND_HALF_UP)
        return value

    def _read_boolean(self, raw: Any, switches: Switches) -> bool:
        del switches
        words = {"true": True, "1": True, "false": False, "0": False}
        value = words.get(str(raw).strip().casefold())
        if value is None:
            msg = f"{self.name} must be true or false."
            raise ValueError(msg)
        return value

    def _read_binary(self, raw: Any, switches: Switches) -> bytes:
        del switches
        try:
            return b64decode(str(raw), validate=True)
        except ValueError as error:
            msg = f"{self.name} must be Base64."
            raise ValueError(msg) from error

    def _read_date(self, raw: Any, switches: Switches) -> datetime | None:
        try:
            value = _local(wire.read_date(str(raw)), switches)
        except (ValueError, OverflowError) as error:
            msg = f"{self.name} must be a date such as 2031-03-14T15:20:00."
            raise ValueError(msg) from error
        if value == _NO_DATE:
            return None
        return value.replace(hour=0, minute=0, second=0, microsecond=0) if self.is_date_only else value


def _local(value: datetime, switches: Switches) -> datetime:
    """*value* in the server's zone, without an offset; ValueError where the switch OffsetDates refuses offsets."""
    if value.tzinfo is None:
        return value
    if switches.offset_dates == "refuse":
        raise ValueError(value)
    return value.astimezone(ZoneInfo(switches.time_zone)).replace(tzinfo=None)


def _decimal(raw: Any) -> Decimal | None:
    try:
        value = Decimal(raw.strip() if isinstance(raw, str) else raw)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return value if value.is_finite() else None
