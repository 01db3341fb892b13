"""The check of a subscriber: what its subscriptions need, and what the check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a subscription needs at its subscriber.

    *templates* are those that may be used: the top-level keys of each, with the value where it is the same for every
    event, and UNSET where it depends on the event.
    """

    subscription_id: str
    target: Mapping[str, Any]
    templates: Sequence[Mapping[str, Any]] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    The result of one step of a check.

    *subject* is a word for programs (`panel`); *name* says which panel, and is empty where the subscriber has only
    one. *state* is `look` where a person should look although nothing is broken. *message* and *advice* are sentences;
    *advice* is empty where nothing needs to be done. *subscription_ids* are the subscriptions concerned, empty where
    all are. *steps* are further instructions, in order.
    """

    subject: str
    name: str = ""
    state: Literal["fine", "look", "wrong"] = "fine"
    message: str
    advice: str = ""
    subscription_ids: list[str] = []
    steps: list[str] = []

    @property
    def blocks_all_subscriptions(self) -> bool:
        """Whether nothing can be delivered to the subscriber until this is fixed."""
        return self.state == "wrong" and not self.subscription_ids


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    What a check of the subscriber found.

    *works* says that nothing is wrong; *findings* are sentences for a person, and *details* the same for programs.
    """

    works: bool
    findings: list[str]
    details: list[Finding] = []

    @classmethod
    def of(cls, *details: Finding) -> CheckResult:
        """The result of a check with these findings."""
        return cls(
            works=all(one.state != "wrong" for one in details),
            findings=[f"{one.message} {one.advice}".rstrip() for one in details],
            details=[*details],
        )

    @property
    def is_open(self) -> bool:
        """Whether the subscriber accepts deliveries, though perhaps not of every subscription."""
        return not any(one.blocks_all_subscriptions for one in self.details)
