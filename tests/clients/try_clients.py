"""
Generate clients from openapi/openapi.json, compile them under strict settings, and use them against a running hub.

`make clients` runs it. Without Node.js or Java it says which generators it leaves out.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
DOCUMENT = CHECKOUT / "openapi" / "openapi.json"
WORK = CHECKOUT / "build" / "clients"
BIN = Path(sys.executable).parent
START_SECONDS = 60
COMMAND_SECONDS = 300


class FailedError(Exception):
    """A command failed; the message is what it printed."""


def main() -> int:
    """Try every client; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", choices=["python", "typescript"], help="the clients of one language")
    only = parser.parse_args().only
    shutil.rmtree(WORK / "python", ignore_errors=True)
    shutil.rmtree(WORK / "typescript" / "generated", ignore_errors=True)
    failed = 0
    with running_hub() as environment:
        for language, needed, name, attempt in CLIENTS:
            if only not in (None, language):
                continue
            if missing := [program for program in needed if shutil.which(program) is None]:
                print(f"{name:40} left out: {' and '.join(missing)} not found")
                continue
            started = time.monotonic()
            try:
                attempt(environment)
            except FailedError as error:
                failed += 1
                print(f"{name:40} FAILED\n{error}")
            else:
                print(f"{name:40} generated, compiled, used ({time.monotonic() - started:.0f} s)")
    return 1 if failed else 0


@contextmanager
def running_hub() -> Iterator[dict[str, str]]:
    """A hub of its own for the while; yields the environment with its address and a key."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="learning-hub-clients-") as home:
        environment = os.environ | {
            "LEARNING_HUB_HOME": home,
            "LEARNING_HUB_ADMIN_KEY": key,
            "LEARNING_HUB_LOG_FORMAT": "json",
        }
        environment.pop("LEARNING_HUB_DATABASE_URL", None)
        log = Path(home, "serve.log")
        with log.open("wb") as output:
            hub = subprocess.Popen(
                [BIN / "learning-hub", "serve", "--port", str(port)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            url = f"http://127.0.0.1:{port}"
            try:
                wait_for(hub, url, log)
                yield os.environ | {
                    "LEARNING_HUB_URL": url,
                    "LEARNING_HUB_KEY": key,
                    "LEARNING_HUB_OPENAPI": str(DOCUMENT),
                }
            finally:
                hub.terminate()
                hub.wait(60)


def wait_for(hub: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the hub is ready."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and hub.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"The hub did not start:\n{log.read_text(errors='replace')}")


def run(command: list[str | Path], environment: dict[str, str], folder: Path, *, warnings: int | None = None) -> None:
    """
    Run a command in *folder*.

    Raises:
        FailedError: It failed, or printed an error or more than so many *warnings*.
    """
    called = f"$ {' '.join(map(str, command))}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"{called}\nstopped after {COMMAND_SECONDS} s") from error
    printed = done.stdout.decode(errors="replace")
    too_many = warnings is not None and (printed.count("WARNING") > warnings or "ERROR" in printed)
    if done.returncode or too_many:
        raise FailedError(f"{called}\n{printed}")


def try_openapi_python_client(environment: dict[str, str]) -> None:
    """Generate with one warning, that it knows no JSON Lines; check with mypy --strict; run the story."""
    folder = WORK / "python" / "openapi-python-client"
    generate: list[str | Path] = [
        BIN / "openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none", "--overwrite",
        "--config", HERE / "python" / "openapi_python_client.yaml", "--output-path", folder / "learning_hub_client",
    ]  # fmt: skip
    folder.mkdir(parents=True)
    run(generate, environment, folder, warnings=1)
    story = HERE / "python" / "openapi_python_client_story.py"
    shutil.copy(story, folder)
    run([BIN / "mypy", "--strict", "--config-file=", "learning_hub_client", story.name], environment, folder)
    run([sys.executable, story.name], environment, folder)


def try_openapi_generator_python(environment: dict[str, str]) -> None:
    """Generate, import, run the story."""
    folder = WORK / "python" / "openapi-generator"
    generate_with_openapi_generator("python", folder, environment)
    story = HERE / "python" / "openapi_generator_story.py"
    shutil.copy(story, folder)
    run([sys.executable, story.name], environment, folder)


def generate_with_openapi_generator(language: str, folder: Path, environment: dict[str, str]) -> None:
    """Write the client of openapi-generator for a language into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        BIN / "openapi-generator-cli", "generate", "-g", language, "-i", DOCUMENT, "-o", folder
    ]  # fmt: skip
    run(command, environment, folder, warnings=0)


def try_typescript(generate: Callable[[dict[str, str], Path], None], name: str) -> Callable[[dict[str, str]], None]:
    """A client in TypeScript: generate it, compile it together with its story, run the story."""

    def attempt(environment: dict[str, str]) -> None:
        folder = typescript_folder(environment)
        shutil.rmtree(folder / "generated", ignore_errors=True)
        (folder / "generated").mkdir()
        generate(environment, folder)
        for story in folder.glob("*.ts"):
            story.unlink()
        for part in ("story.ts", f"{name}.ts"):
            shutil.copy(HERE / "typescript" / part, folder)
        run(["npx", "tsc", "--project", "."], environment, folder)
        run(["npx", "tsx", f"{name}.ts"], environment, folder)

    return attempt


def typescript_folder(environment: dict[str, str]) -> Path:
    """The folder with the generators, installed as package-lock.json pins them."""
    folder = WORK / "typescript"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "tsconfig.json", "orval.config.cjs"):
        shutil.copy(HERE / "typescript" / name, folder)
    lock, installed = HERE / "typescript" / "package-lock.json", folder / "package-lock.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        shutil.copy(lock, installed)
        try:
            run(["npm", "ci", "--no-audit", "--no-fund"], environment, folder)
        except FailedError:
            installed.unlink()
            raise
    return folder


def openapi_typescript(environment: dict[str, str], folder: Path) -> None:
    run(["npx", "openapi-typescript", DOCUMENT, "-o", "generated/openapi-typescript.ts"], environment, folder)


def hey_api(environment: dict[str, str], folder: Path) -> None:
    run(["npx", "openapi-ts", "-i", DOCUMENT, "-o", "generated/hey-api"], environment, folder)


def orval(environment: dict[str, str], folder: Path) -> None:
    run(["npx", "orval", "--config", "orval.config.cjs"], environment, folder)


def openapi_generator(environment: dict[str, str], folder: Path) -> None:
    generate_with_openapi_generator("typescript-fetch", folder / "generated" / "openapi-generator", environment)


# Language, programs that it needs, name, how to try it.
CLIENTS: list[tuple[str, tuple[str, ...], str, Callable[[dict[str, str]], None]]] = [
    ("python", (), "openapi-python-client", try_openapi_python_client),
    ("python", ("java",), "openapi-generator python", try_openapi_generator_python),
    (
        "typescript",
        ("node", "npm"),
        "openapi-typescript and openapi-fetch",
        try_typescript(openapi_typescript, "openapi-fetch"),
    ),
    ("typescript", ("node", "npm"), "hey-api", try_typescript(hey_api, "hey-api")),
    ("typescript", ("node", "npm"), "orval", try_typescript(orval, "orval")),
    (
        "typescript",
        ("node", "npm", "java"),
        "openapi-generator typescript-fetch",
        try_typescript(openapi_generator, "openapi-generator"),
    ),
]

if __name__ == "__main__":
    sys.exit(main())
