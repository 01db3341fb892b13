"""Authentication: the Caller of a key, cached for less than a second so that a revocation takes effect at once."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime

import msgspec

from learning_hub.model.api_key import key_hash, key_id_of, same_secret
from learning_hub.model.caller import EVERY_PROGRAM, SCOPES, Caller
from learning_hub.model.clock import now
from learning_hub.model.errors import LearningHubError, NotAuthenticated, TooManyUnknownKeys
from learning_hub.services.unknown_keys import UnknownKeys
from learning_hub.store import api_keys
from learning_hub.store.database import Database

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 0.8
MOST_REMEMBERED = 10_000
NOTE_USE_SECONDS = 5
# How long the answer to a guess is held back, and how many are at once.
GUESS_SECONDS = 1.0
MOST_GUESSES_HELD = 100


class _Found(msgspec.Struct, frozen=True):
    """A key that was looked up: its caller, None if it is revoked or unknown; and whether it was ever given out."""

    caller: Caller | None
    is_known: bool


_UNKNOWN = _Found(None, is_known=False)


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
        self._unknown_keys = UnknownKeys()
        self._guesses_held = 0
        self._remembered: dict[bytes, tuple[float, _Found]] = {}
        # Look-ups under way: requests of one key that come, or wake, at the same moment share one.
        self._under_way: dict[bytes, asyncio.Task[_Found]] = {}
        self._used: dict[str, datetime] = {}

    async def identify(self, key: str | None, *, address: str | None = None) -> Caller:
        """
        The caller with *key*; *address* is where it came from, or None for a key that was checked before.

        Raises:
            NotAuthenticated: The key is missing, unknown, expired or revoked; the error is the same for all.
            TooManyUnknownKeys: The key is unknown, as were many from the same address before.
        """
        if key is None:
            raise NotAuthenticated
        hashed = key_hash(key)
        if self._admin_hash and same_secret(hashed, self._admin_hash):
            return self._admin
        found = await self._look_up(key, hashed)
        if not found.is_known and address is not None:
            await self._count_unknown(address)
        caller = found.caller
        if caller is None or (caller.expires_utc and caller.expires_utc <= now()):
            raise NotAuthenticated
        self._used[caller.key_id] = now()
        return caller

    async def _count_unknown(self, address: str) -> None:
        """Count an unknown key; the answer to one too many is held back, because guessing would keep the hub busy."""
        try:
            self._unknown_keys.count(address)
        except TooManyUnknownKeys:
            if self._guesses_held < MOST_GUESSES_HELD:
                self._guesses_held += 1
                try:
                    await asyncio.sleep(GUESS_SECONDS)
                finally:
                    self._guesses_held -= 1
            raise

    async def _look_up(self, key: str, hashed: bytes) -> _Found:
        known_until, found = self._remembered.get(hashed, (0.0, _UNKNOWN))
        if known_until > time.monotonic():
            return found
        key_id = key_id_of(key)
        if key_id is None:
            return _UNKNOWN
        task = self._under_way.get(hashed)
        if task is None:
            task = self._under_way[hashed] = asyncio.create_task(self._find(key_id, hashed))
            task.add_done_callback(lambda done: self._keep(hashed, done))
        return await asyncio.shield(task)

    def _keep(self, hashed: bytes, task: asyncio.Task[_Found]) -> None:
        """Remember what a look-up found, unless a key was revoked since it began."""
        if self._under_way.get(hashed) is not task:
            return
        del self._under_way[hashed]
        if task.cancelled() or task.exception():
            return
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[hashed] = (time.monotonic() + REMEMBERED_SECONDS, task.result())

    async def _find(self, key_id: str, hashed: bytes) -> _Found:
        stored = await api_keys.find_with_hash(self._database, key_id)
        if stored is None or not same_secret(stored[1], hashed):
            return _UNKNOWN
        key = stored[0]
        if key.revoked_utc is not None:
            return _Found(None, is_known=True)
        caller = Caller(
            key_id=key.key_id,
            name=key.name,
            programs=tuple(key.programs),
            scopes=frozenset(key.scopes),
            expires_utc=key.expires_utc,
        )
        return _Found(caller, is_known=True)

    def forget(self, key_id: str) -> None:
        """Remove this key from the cache, because it was revoked."""
        self._under_way.clear()
        self._remembered = {
            hashed: (until, found)
            for hashed, (until, found) in self._remembered.items()
            if found.caller is None or found.caller.key_id != key_id
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
