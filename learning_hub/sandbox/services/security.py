"""UserSecurity: the roles of the account (section 2.5)."""

from collections.abc import Sequence
from typing import Any

from learning_hub.sandbox import wire
from learning_hub.sandbox.services.service import Service


class UserSecurityService(Service):
    """GetUserRoles; version 20.2 lacks the entity."""

    def execute(self, operation: str, parameters: Sequence[Any]) -> Any:
        del parameters
        if operation.casefold() != "getuserroles":
            raise self._not_implemented(operation)
        role = wire.core("RoleData")
        roles = [{"$type": role, "RoleName": name} for name in self.site.account.roles]
        return wire.collection(wire.list_of(role), roles)
