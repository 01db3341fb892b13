"""
The vault: encrypts credentials of subscribers, and secret values in their settings, before they are stored.

The setting LEARNING_HUB_SECRET_KEYS holds the keys. The first one encrypts and all of them decrypt, so that keys can be
rotated. Without the setting the vault makes one key and stores it in `secret.key` under LEARNING_HUB_HOME, readable by
its owner alone, for all processes that share this home. Hubs on several machines need the setting.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from learning_hub.model.errors import CredentialsUnreadable, KeysMissing
from learning_hub.model.json_values import read_json, write_json
from learning_hub.settings import Settings

KEY_FILE = "secret.key"
# The only member of the object that is stored instead of a secret value within settings.
ENCRYPTED = "Encrypted"


class Vault:
    """Encrypts and decrypts credentials; the keys are read when they are first needed."""

    def __init__(self, keys: Sequence[str], key_file: Path) -> None:
        self._configured_keys = tuple(keys)
        self._key_file = key_file

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        """The vault that the settings describe."""
        return cls(settings.secret_keys, settings.home / KEY_FILE)

    def encrypt(self, credentials: Mapping[str, Any]) -> bytes:
        """
        The encrypted form of *credentials*.

        Raises:
            KeysMissing: No keys are set, and no key file can be made or read.
        """
        return self._fernet.encrypt(write_json(dict(credentials)))

    def decrypt(self, encrypted: bytes) -> dict[str, Any]:
        """
        The credentials inside *encrypted*.

        Raises:
            CredentialsUnreadable: They were encrypted with a key that the vault does not have.
            KeysMissing: No keys are set, and no key file can be made or read.
        """
        try:
            return dict(read_json(self._fernet.decrypt(encrypted)))
        except InvalidToken:
            raise CredentialsUnreadable(
                f"The credentials were encrypted with another key than {self._source}. "
                "Put that key back beside the present one, or save the subscriber with its credentials again."
            ) from None

    def encrypt_settings(self, settings: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
        """
        The *settings* as they are stored: each text in the objects named in *secret* is encrypted.

        Raises:
            KeysMissing: As for `encrypt`; only if there is something to encrypt.
        """
        return _replaced(settings, secret, lambda value: self._encrypt_text(value) if isinstance(value, str) else value)

    def decrypt_settings(
        self, settings: Mapping[str, Any], secret: Collection[str], *, tolerant: bool = False
    ) -> dict[str, Any]:
        """
        The *settings* that `encrypt_settings` returned, decrypted. Values that are stored in clear text stay.

        Args:
            settings: The settings as they are stored.
            secret: The names of the objects in them whose values are encrypted.
            tolerant: Values that cannot be decrypted become None.

        Raises:
            CredentialsUnreadable, KeysMissing: As for `decrypt`.
        """

        def decrypted(value: Any) -> Any:
            if not is_encrypted(value):
                return value
            try:
                return self.decrypt(value[ENCRYPTED].encode())["Value"]
            except CredentialsUnreadable:
                if tolerant:
                    return None
                raise

        return _replaced(settings, secret, decrypted)

    def _encrypt_text(self, text: str) -> dict[str, str]:
        return {ENCRYPTED: self.encrypt({"Value": text}).decode()}

    @property
    def _source(self) -> str:
        return "those of LEARNING_HUB_SECRET_KEYS" if self._configured_keys else f"the one in {self._key_file}"

    @cached_property
    def _fernet(self) -> MultiFernet:
        keys = self._configured_keys or (_stored_key(self._key_file),)
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise KeysMissing(f"There is no Fernet key in {self._key_file}.") from None


def is_encrypted(value: Any) -> bool:
    """Whether *value* is what the vault stores instead of a secret value within settings."""
    return isinstance(value, dict) and list(value) == [ENCRYPTED]


def _replaced(settings: Mapping[str, Any], names: Collection[str], replace: Callable[[Any], Any]) -> dict[str, Any]:
    """*settings* with each value in the objects *names* replaced."""
    return {
        name: {key: replace(value) for key, value in member.items()}
        if name in names and isinstance(member, dict)
        else member
        for name, member in settings.items()
    }


def _stored_key(file: Path) -> str:
    """The key in *file*, which is created if it does not exist; processes that start at once agree on one key."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _make_key(file)
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysMissing(
            f"The key file {file} can neither be read nor made ({type(error).__name__}). Set LEARNING_HUB_SECRET_KEYS."
        ) from error


def _make_key(file: Path) -> None:
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(Fernet.generate_key() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        # A link is created atomically, and never replaces the file of a process that was faster.
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
