"""The sandbox as a program."""

import ast
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sandbox.sandbox_entities import password_grant

import learning_hub.sandbox
from learning_hub.sandbox import build_sandbox


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "learning_hub.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_of_json_has_address_and_account(number: signal.Signals) -> None:
    """With --json the first line has address, user and password; the sandbox serves there until a signal ends it."""
    with program("--json", "--username", "hub", "--password", "p&ss") as process:
        assert process.stdout is not None
        printed = json.loads(process.stdout.readline())
        form = password_grant(username=printed["Username"], password=printed["Password"])
        response = httpx.post(f"{printed['Address']}/token", data=form, timeout=60, trust_env=False)
        process.send_signal(number)
        exit_status = process.wait(timeout=30)
        assert process.stderr is not None
        stderr = process.stderr.read()

    assert printed | {"Address": ""} == {"Address": "", "Username": "hub", "Password": "p&ss"}
    assert (response.status_code, exit_status, stderr) == (200, 0, "")


def test_readable_output_and_a_used_port() -> None:
    """Without --json the program prints readable lines; a port in use ends it with a sentence."""
    with program() as first:
        assert first.stdout is not None
        lines = [first.stdout.readline() for _ in range(3)]
        port = lines[0].strip().rpartition(":")[2]
        with program("--port", port) as second:
            _, stderr = second.communicate(timeout=60)

    assert re.fullmatch(r"Address: +http://127\.0\.0\.1:\d+\n", lines[0])
    assert [line.split(":")[1].strip() for line in lines[1:]] == ["sandbox", "sandbox"]
    assert second.returncode == 1
    assert stderr.startswith(f"Cannot listen on 127.0.0.1:{port}: ")


async def test_the_application_runs_without_a_server() -> None:
    """The application also runs without a server; each one has a state of its own."""
    transport = httpx.ASGITransport(app=build_sandbox())  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        assert (await client.post("/token", data=password_grant())).status_code == 200


def test_it_imports_nothing_else_of_the_hub() -> None:
    """No module of the sandbox imports another package of the hub."""
    folder = Path(learning_hub.sandbox.__file__).parent
    for source in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("learning_hub"):
                assert node.module.startswith("learning_hub.sandbox"), source
