"""pinax-referrals beside the product: put by pip into the temporary folder, on the same gunicorn and PostgreSQL."""

import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

from machine import BENCH, CannotMeasure, Postgres, Server, ask, gunicorn, plain_environment, say
from psycopg.conninfo import conninfo_to_dict

PINNED = ("pinax-referrals==4.5.0", "django==5.2.19", "django-appconf==1.2.0", "asgiref==3.13.0", "sqlparse==0.6.1")
DATABASE, RECORDED = "bench_pinax", "referrals_referralresponse"
SECONDS_MAX = 180


def pinax(folder: Path, postgres: Postgres, *, links: int) -> tuple[Server, dict[str, str]]:
    """Install, fill and start the site; return it with what the load generators send.

    Raise CannotMeasure, with one sentence, where pip cannot have it.
    """
    home = folder / "pinax"
    python = home / "bin" / "python"
    say("  installing pinax-referrals …")
    venv.create(home, with_pip=True)
    shared = [f"{name}=={version(name)}" for name in ("gunicorn", "psycopg", "psycopg-binary")]
    try:
        _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINNED, *shared])
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise CannotMeasure("pip could not install pinax-referrals here, so it was not measured.") from None
    postgres.create(DATABASE)
    known = conninfo_to_dict(postgres.dsn(DATABASE))
    env = {"BENCH_PINAX_HOST": str(known["host"]), "BENCH_PINAX_USER": str(known["user"])}
    env |= {"BENCH_PINAX_DATABASE": DATABASE}
    codes = _run([python, BENCH / "pinax_site.py", str(links)], env).split()
    (folder / "pinax.paths").write_text("".join(f"/r/{code}\n" for code in codes))
    server = gunicorn("pinax_site:application", env=env, folder=folder, name="pinax", python=str(python))
    status, headers = ask(f"{server.url}/r/{codes[0]}")
    if (status, headers["Location"]) != (302, "/products/x"):
        server.program.stop()
        raise CannotMeasure(f"pinax-referrals answered by {status}: {server.program.log_tail()}")
    return server, {"BENCH_PATHS": str(folder / "pinax.paths")}


def _run(command: list[object], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env=plain_environment() | (env or {}),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    )
    return done.stdout
