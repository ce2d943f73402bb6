"""The README's block is the main job from a shop to a payout; it runs here as a stranger would run it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from plugin.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def block() -> str:
    """Return the README's one bash block."""
    (found,) = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the installation did not start")


def test_main_job_of_the_readme_runs_from_shop_to_payout(settings: Settings, tmp_path: Path) -> None:
    for program in ("bash", "curl", "openssl"):
        if shutil.which(program) is None:
            pytest.fail(f"install {program}: the README's block needs it")
    port = free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PASSALONG_INSTANCE": str(settings.instance),
        "PASSALONG_DATABASE_URL": settings.database_url,
        "PASSALONG_QUEUE_URL": settings.queue_url,
        "PASSALONG_BASE_URL": f"http://127.0.0.1:{port}",
    }
    server = subprocess.Popen(
        ["passalong", "run", "--port", str(port)], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}")
        done = subprocess.run(
            ["bash", "-c", block()], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert done.returncode == 0, done.stderr
    assert "'amount': '8.00', 'earned': '10.00', 'clawed_back': '2.00'" in done.stdout
    assert '"payable": "0.00", "in_flight": "0.00", "paid": "8.00"' in done.stdout
    assert "The books hold" in done.stdout
