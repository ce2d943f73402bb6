"""Passalong in a host app: its own app behind a prefix, which touches nothing of the host and is touched by nothing."""

import json
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session, url_for

import plugin
from plugin.app import ForeignPackage
from plugin.cli import flask_group
from plugin.extension import HOST_EXTENSION, CannotMount, Mounted, Passalong
from plugin.services.add_shop import NewShop, add_shop
from plugin.settings import SettingsError
from plugin.shops import generic


def host_app(folder: Path, **config: object) -> Flask:
    """Return a shop's own app: a page, a session, an error page, and a hook that refuses every POST."""
    app = Flask("host")
    app.config.update(SECRET_KEY="the host's own", PASSALONG_INSTANCE=str(folder / "instance"))
    app.config.update(config)

    @app.get("/")
    def home() -> str:
        session["seen"] = True
        return "the host's page"

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["user"] = name
        return "in"

    @app.errorhandler(404)
    def lost(error: Exception) -> tuple[str, int]:
        return "the host's own 404", 404

    @app.before_request
    def refuse_posts() -> Any:
        from flask import request

        return ("the host checks a token here", 400) if request.method == "POST" else None

    return app


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Flask]:
    """Give a host app with Passalong mounted."""
    app = host_app(tmp_path)
    Passalong().init_app(app, identify=lambda: session.get("user"))
    yield app
    mounted(app).installation.close()


def mounted(app: Flask) -> Mounted:
    """Return what the host keeps."""
    found: Mounted = app.extensions[HOST_EXTENSION]
    return found


def test_both_answer_side_by_side(host: Flask) -> None:
    client = host.test_client()
    assert client.get("/").data == b"the host's page"
    assert client.get("/nothing").data == b"the host's own 404"
    assert client.get("/passalong/readyz").status_code == 200
    assert client.get("/passalong/nothing").content_type == "application/problem+json"
    assert client.get("/passalongs").data == b"the host's own 404"


def test_the_host_gets_no_extension_of_ours_but_the_one_entry(host: Flask) -> None:
    assert set(host.extensions) == {HOST_EXTENSION}
    assert set(host.blueprints) == set()


def test_the_extension_keeps_nothing_and_serves_several_apps(tmp_path: Path) -> None:
    passalong = Passalong()
    apps = [host_app(tmp_path / name) for name in ("one", "other")]
    for app in apps:
        passalong.init_app(app)
    assert vars(passalong) == {}
    assert mounted(apps[0]).app is not mounted(apps[1]).app
    for app in apps:
        mounted(app).installation.close()


def test_it_may_be_mounted_in_the_constructor(tmp_path: Path) -> None:
    app = host_app(tmp_path)
    Passalong(app, url_prefix="/share")
    assert app.test_client().get("/share/healthz").status_code == 200
    mounted(app).installation.close()


def test_deliveries_come_in_below_the_prefix_past_the_host_s_hooks(host: Flask) -> None:
    made = add_shop(mounted(host).installation.context, NewShop("generic", "https://shop.example.com"), actor="test")
    assert made["webhook_url"] == f"http://127.0.0.1:8000/passalong/webhooks/{made['key']}"
    body, at = b"{}", int(time.time())
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(at),
        "webhook-signature": generic.sign(made["webhook_secret"], "m1", at, body),
    }
    client = host.test_client()
    assert client.post("/").status_code == 400
    assert client.post(f"/passalong/webhooks/{made['key']}", data=body, headers=headers).status_code == 200


def test_addresses_that_we_build_carry_the_prefix(host: Flask) -> None:
    inner = mounted(host).app

    @inner.get("/where")
    def where() -> str:
        return url_for("where")

    assert host.test_client().get("/passalong/where").data == b"/passalong/where"


def test_neither_sets_a_cookie_for_the_other(host: Flask) -> None:
    client = host.test_client()
    assert "Set-Cookie" not in client.get("/passalong/healthz").headers
    assert client.get("/").headers["Set-Cookie"].startswith("session=")
    assert "Set-Cookie" not in client.get("/passalong/healthz").headers


def test_the_host_says_who_is_signed_in(host: Flask) -> None:
    inner, client = mounted(host).app, host.test_client()
    identify = mounted(host).installation.identify
    assert identify is not None

    @inner.get("/who")
    def who() -> dict[str, Any]:
        from flask import request

        return {"who": identify(request.environ)}

    assert client.get("/passalong/who").get_json() == {"who": None}
    client.get("/login/alice")
    assert client.get("/passalong/who").get_json() == {"who": "alice"}


def test_the_address_the_owner_named_stays_as_it_is(tmp_path: Path) -> None:
    app = host_app(tmp_path, PASSALONG_BASE_URL="https://shop.example.com/share")
    Passalong().init_app(app, url_prefix="/share")
    assert mounted(app).installation.settings.base_url == "https://shop.example.com/share"
    mounted(app).installation.close()


def test_a_wrong_setting_of_the_host_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PASSALONG_KEEP_BODIES_DAYS"):
        Passalong().init_app(host_app(tmp_path, PASSALONG_KEEP_BODIES_DAYS=0))


@pytest.mark.parametrize("prefix", ["", "/", "passalong", "/passalong/", "/pa\nssalong"])
def test_a_prefix_that_is_none_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(CannotMount, match="prefix"):
        Passalong().init_app(host_app(tmp_path), url_prefix=prefix)


def test_mounting_twice_is_refused(host: Flask) -> None:
    with pytest.raises(CannotMount, match="already"):
        Passalong().init_app(host, url_prefix="/again")


def test_a_foreign_package_called_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = types.ModuleType("plugin")
    foreign.__file__ = "/srv/shop/plugin/__init__.py"
    monkeypatch.setitem(sys.modules, "plugin", foreign)
    monkeypatch.setattr(sys.modules["plugin.extension"], "plugin", foreign)
    with pytest.raises(ForeignPackage, match="/srv/shop/plugin"):
        Passalong().init_app(host_app(tmp_path))


# --- flask passalong ------------------------------------------------------------------------------------------------


def test_every_command_is_also_flask_s(host: Flask) -> None:
    runner = host.test_cli_runner()
    made = runner.invoke(flask_group, ["shop", "add", "generic", "https://shop.example.com", "--json"])
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["webhook_url"].startswith("http://127.0.0.1:8000/passalong/webhooks/")
    seen = runner.invoke(flask_group, ["--json", "doctor"])
    assert json.loads(seen.stdout)["ok"] is True
    assert any(check["name"].startswith("shop ") for check in json.loads(seen.stdout)["checks"])


def test_flask_passalong_works_on_the_mounted_installation(host: Flask) -> None:
    runner = host.test_cli_runner()
    assert runner.invoke(flask_group, ["demo"]).exit_code == 0
    books = runner.invoke(flask_group, ["check-books", "--json"])
    assert json.loads(books.stdout)["ok"] is True
    assert json.loads(books.stdout)["transfers"] > 0


def test_an_app_without_passalong_is_told_what_to_do(tmp_path: Path) -> None:
    answer = Flask("bare").test_cli_runner().invoke(flask_group, ["doctor"])
    assert answer.exit_code == 1
    assert "init_app" in answer.stderr
    assert plugin.__file__
