"""Authentication: the Caller of a key, cached for less than a second so that a revocation takes effect at once."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime

from learning_hub.model.api_key import key_hash, key_id_of, same_secret
from learning_hub.model.caller import EVERY_PROGRAM, SCOPES, Caller
from learning_hub.model.clock import now
from learning_hub.model.errors import LearningHubError, NotAuthenticated
from learning_hub.store import api_keys
from learning_hub.store.database import Database

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 0.8
MOST_REMEMBERED = 10_000
NOTE_USE_SECONDS = 5


class Authenticator:
    """Identifies callers; one for each process."""

    def __init__(self, database: Database, admin_key: str | None) -> None:
        self._database = database
        self._admin_hash = key_hash(admin_key) if admin_key else None
        self._admin = Caller(
            key_id="admin",
            name="admin key of the settings",
            programs=(EVERY_PROGRAM,),
            scopes=frozenset(SCOPES),
        )
        self._remembered: dict[bytes, tuple[float, Caller | None]] = {}
        self._used: dict[str, datetime] = {}

    async def identify(self, key: str | None) -> Caller:
        """
        The caller with *key*.

        Raises:
            NotAuthenticated: The key is missing, unknown, expired or revoked; the error is the same for all.
        """
        if key is None:
            raise NotAuthenticated
        hashed = key_hash(key)
        if self._admin_hash and same_secret(hashed, self._admin_hash):
            return self._admin
        caller = await self._look_up(key, hashed)
        if caller is None or (caller.expires_utc and caller.expires_utc <= now()):
            raise NotAuthenticated
        self._used[caller.key_id] = now()
        return caller

    async def _look_up(self, key: str, hashed: bytes) -> Caller | None:
        known_until, caller = self._remembered.get(hashed, (0.0, None))
        if known_until > time.monotonic():
            return caller
        key_id = key_id_of(key)
        if key_id is None:
            return None
        found = await api_keys.find_with_hash(self._database, key_id)
        caller = None
        if found and same_secret(found[1], hashed) and found[0].revoked_utc is None:
            caller = Caller(
                key_id=found[0].key_id,
                name=found[0].name,
                programs=tuple(found[0].programs),
                scopes=frozenset(found[0].scopes),
                expires_utc=found[0].expires_utc,
            )
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[hashed] = (time.monotonic() + REMEMBERED_SECONDS, caller)
        return caller

    def forget(self, key_id: str) -> None:
        """Remove this key from the cache, because it was revoked."""
        self._remembered = {
            hashed: (until, caller)
            for hashed, (until, caller) in self._remembered.items()
            if caller is None or caller.key_id != key_id
        }

    async def note_use(self) -> None:
        """Store every few seconds which keys were used, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_USE_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Store now which keys were used; if the database is away, the times of use are lost."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await api_keys.note_use(self._database, used)
        except LearningHubError as error:
            log.debug("key_use_not_noted", extra={"error": error.code})
        except Exception:
            log.exception("key_use_not_noted")
