"""What every entity of the API may offer; what it does not offer is answered with 501."""

from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.answer import validation_results
from learning_hub.sandbox.errors import Invalid, NotAllowed, OperationNotImplemented, UnreadableBody, WrongIdentity
from learning_hub.sandbox.site import Site

Pairs = Sequence[tuple[str, str]]
Identity = tuple[str, ...]


class Service:
    """
    The operations of one entity; bodies come in decoded, answers go out as JSON values.

    *is_written_by_staff* says that an account without a role of staff only reads it (2.1): the sandbox has no
    Security tab that would let others write.
    """

    is_written_by_staff = False

    def __init__(self, site: Site, entity: str) -> None:
        self.site = site
        self.entity = entity

    def need_right_to_write(self) -> None:
        """
        Returns if the account may write here.

        Raises:
            NotAllowed: It may not.
        """
        if self.is_written_by_staff and not self.site.account.is_staff:
            msg = f"You do not have permission to write {self.entity}."
            raise NotAllowed(msg)

    def find(self, pairs: Pairs) -> Any:
        del pairs
        raise self._lacks("Find")

    def read(self, identity: Identity) -> Any:
        del identity
        raise self._lacks("FindByIdentity")

    def add(self, body: Any) -> Any:
        del body
        raise self._lacks("Add")

    def change(self, identity: Identity, body: Any) -> Any:
        del identity, body
        raise self._lacks("Update")

    def remove(self, identity: Identity) -> None:
        del identity
        raise self._lacks("Delete")

    def check(self, body: Any) -> None:
        """Returns if *body* could be added; raises what adding it would raise."""
        del body
        raise self._lacks("Validate")

    def validate(self, body: Any) -> Any:
        """`ValidateResultsData`: what adding would say, nothing stored (4.2)."""
        refusal: Invalid | None = None
        try:
            self.check(body)
        except Invalid as invalid:
            refusal = invalid
        return {
            "$type": wire.core("ValidateResultsData"),
            "Entity": body,
            "ValidationResults": validation_results(refusal, self.site.switches),
            "IsValid": refusal is None,
            "HasWarnings": False,
        }

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        """The result of a named operation."""
        del parameters
        raise self._lacks(operation)

    def _lacks(self, operation: str) -> OperationNotImplemented:
        return OperationNotImplemented(f"Operation {operation} is not implemented for {self.entity}.")


def one_element(identity: Identity) -> str:
    """The only element of *identity*; any other number of elements is refused."""
    if len(identity) != 1:
        raise WrongIdentity
    return identity[0]


def check_type(body: Any, type_name: str, site: Site) -> None:
    """
    Returns if *body* is an object that says it is a *type_name*.

    Raises:
        UnreadableBody: It is no object, or `$type` is another, missing (switch MissingType) or late (LateType).
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
