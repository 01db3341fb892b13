"""The operations that an entity of the API may have; one that it lacks is answered with 501."""

from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.errors import (
    NotAllowed,
    OperationNotImplemented,
    UnreadableBody,
    ValidationError,
    WrongIdentity,
)
from learning_hub.sandbox.responses import validation_results
from learning_hub.sandbox.site import Site

Pairs = Sequence[tuple[str, str]]
Identity = tuple[str, ...]


class Service:
    """
    The operations of one entity; bodies are decoded JSON, results are JSON values.

    Attributes:
        requires_staff_role: An account without a staff role may read, but not write (2.1). The sandbox has no
            Security tab that would let other accounts write.
    """

    requires_staff_role = False

    def __init__(self, site: Site, entity: str) -> None:
        self.site = site
        self.entity = entity

    def require_write_permission(self) -> None:
        """
        Check that the account may write this entity.

        Raises:
            NotAllowed: It may not.
        """
        if self.requires_staff_role and not self.site.account.is_staff:
            msg = f"You do not have permission to write {self.entity}."
            raise NotAllowed(msg)

    def find(self, pairs: Pairs) -> Any:
        del pairs
        raise self._not_implemented("Find")

    def read(self, identity: Identity) -> Any:
        del identity
        raise self._not_implemented("FindByIdentity")

    def add(self, body: Any) -> Any:
        del body
        raise self._not_implemented("Add")

    def update(self, identity: Identity, body: Any) -> Any:
        del identity, body
        raise self._not_implemented("Update")

    def delete(self, identity: Identity) -> None:
        del identity
        raise self._not_implemented("Delete")

    def check(self, body: Any) -> None:
        """Raise the error that adding *body* would raise; store nothing."""
        del body
        raise self._not_implemented("Validate")

    def validate(self, body: Any) -> Any:
        """`ValidateResultsData`: the problems that adding *body* would find; stores nothing (4.2)."""
        error: ValidationError | None = None
        try:
            self.check(body)
        except ValidationError as raised:
            error = raised
        return {
            "$type": wire.core("ValidateResultsData"),
            "Entity": body,
            "ValidationResults": validation_results(error, self.site.switches),
            "IsValid": error is None,
            "HasWarnings": False,
        }

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        """The result of a named operation."""
        del parameters
        raise self._not_implemented(operation)

    def _not_implemented(self, operation: str) -> OperationNotImplemented:
        return OperationNotImplemented(f"Operation {operation} is not implemented for {self.entity}.")


def one_element(identity: Identity) -> str:
    """
    The only element of *identity*.

    Raises:
        WrongIdentity: It has any other number of elements.
    """
    if len(identity) != 1:
        raise WrongIdentity
    return identity[0]


def check_type(body: Any, type_name: str, site: Site) -> None:
    """
    Check that *body* is an object whose `$type` is *type_name*.

    Raises:
        UnreadableBody: It is not an object, or its `$type` is another one, missing (switch MissingType), or not the
            first member (switch LateType).
    """
    if not isinstance(body, dict) or not body:
        raise UnreadableBody("The request body must be a JSON object.")
    sent = body.get("$type")
    if sent is not None and site.switches.late_type == "refuse" and next(iter(body)) != "$type":
        sent = None
    if sent is None:
        if site.switches.missing_type == "refuse":
            raise UnreadableBody("The request body has no $type.")
        return
    if str(sent).partition(",")[0].strip() != wire.core(type_name).partition(",")[0]:
        msg = f"The $type of the request body cannot be resolved: {sent}"
        raise UnreadableBody(msg)
