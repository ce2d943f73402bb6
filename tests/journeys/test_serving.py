"""The command lines of docs/serving.md, started as they stand there: they serve, work, and stop without a loss."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from pathlib import Path

import pytest
from sqlalchemy import func, select

from plugin.models import click
from tests.world import World

ROOT = Path(__file__).parents[2]
SERVING = (ROOT / "docs" / "serving.md").read_text()
LINES = re.findall(r"^ExecStart=/srv/passalong/\.venv/bin/(\S+) (.*)$", SERVING, re.MULTILINE)
WEB = [(program, rest) for program, rest in LINES if "8000" in rest]
SECONDS_MAX = 40
Process = subprocess.Popen[bytes]


class _Still(urllib.request.HTTPRedirectHandler):
    """Follow no redirect."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


def ask(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, HTTPMessage]:
    """Return status and headers of one request."""
    request = urllib.request.Request(url, data=body, headers=headers or {})  # noqa: S310 - 127.0.0.1 only
    try:
        with urllib.request.build_opener(_Still).open(request, timeout=20) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


@contextmanager
def started(world: World, program: str, rest: str, folder: Path, **more: str) -> Iterator[tuple[Process, str]]:
    """Start a line of the document on the world's installation, at a free port; end it if the block has not."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = world.context.settings
    env = {name: value for name, value in os.environ.items() if not name.startswith("PASSALONG_")}
    env |= {"PYTHONPATH": str(ROOT), "PASSALONG_DATABASE_URL": settings.database_url, **more}
    env |= {"PASSALONG_INSTANCE": str(settings.instance), "PASSALONG_QUEUE_URL": settings.queue_url}
    command = [str(Path(sys.executable).parent / program), *shlex.split(rest.replace("8000", str(port)))]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(process: Process, url: str, folder: Path) -> None:
    """Wait until a server says that it is ready."""
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        try:
            if ask(f"{url}/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail((folder / "log").read_text())


def test_the_document_has_a_line_for_each_server() -> None:
    assert [program for program, _ in LINES] == ["passalong", "granian", "gunicorn", "passalong"]
    assert len(WEB) == 3


@pytest.mark.parametrize("line", WEB, ids=[program for program, _ in WEB])
def test_a_line_of_the_document_serves_and_loses_nothing_when_it_stops(
    world: World, line: tuple[str, str], tmp_path: Path
) -> None:
    shop = world.shop()
    shop.plan()
    link = shop.link(shop.sharer("alice"))
    with started(world, *line, tmp_path, PASSALONG_WORKERS="0", PASSALONG_TRUSTED_PROXIES="1") as (process, url):
        wait_until_ready(process, url, tmp_path)
        body = json.dumps({"type": "order", "data": shop.order("1")}).encode()
        assert ask(f"{url}/webhooks/{shop.key}", body=body, headers=shop.signed(body))[0] == 200
        status, headers = ask(f"{url}/s/{link['code']}", headers={"User-Agent": "Mozilla/5.0"})
        assert (status, "pa=" in headers["Location"]) == (302, True)
        process.send_signal(signal.SIGTERM)  # before the batch of the click is due
        assert process.wait(SECONDS_MAX) == 0, (tmp_path / "log").read_text()
    with world.context.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(click)).scalar_one() == 1
    assert [one["state"] for one in world.deliveries()] == ["stored"]


def test_the_line_for_workers_works_and_stops_when_asked(world: World, tmp_path: Path) -> None:
    shop = world.shop()
    shop.plan()
    shop.deliver(shop.order("1"))
    (line,) = (line for line in LINES if line == ("passalong", "worker"))
    with started(world, *line, tmp_path) as (process, _):
        end = time.monotonic() + SECONDS_MAX
        while world.deliveries()[0]["state"] != "done" and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0, (tmp_path / "log").read_text()
    assert [one["state"] for one in world.deliveries()] == ["done"]
