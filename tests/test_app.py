"""The app: it starts whatever state the database is in, says whether it is ready, and answers errors in one shape."""

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from flask import Flask, request
from sqlalchemy import select, text
from werkzeug.test import Client

from plugin.app import ForeignPackage, create_app
from plugin.installation import Installation
from plugin.migrations import is_current
from plugin.models import click
from plugin.settings import Settings, SettingsError, load
from tests.world import World

TOKEN = "a-token-of-the-watchers"


def settings_in(folder: Path, **more: object) -> Settings:
    """Return the settings of an installation whose every file lies in a folder."""
    return load({}, {"PASSALONG_INSTANCE": str(folder / "instance"), "PASSALONG_WORKERS": 0} | more)


def installation_of(app: Flask) -> Installation:
    """Return what is open for an app."""
    found: Installation = app.extensions["passalong"]
    return found


# --- starting -------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_made_ready(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path))
    with installation_of(app).context.database.reading() as connection:
        assert is_current(connection)
    assert app.test_client().get("/readyz").status_code == 200
    installation_of(app).close()


def test_settings_may_be_given_as_a_mapping(tmp_path: Path) -> None:
    app = create_app({"PASSALONG_INSTANCE": str(tmp_path / "instance"), "PASSALONG_BASE_URL": "https://pa.example"})
    assert installation_of(app).settings.base_url == "https://pa.example"
    installation_of(app).close()


def test_a_wrong_setting_refuses_to_start_and_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PASSALONG_WORKERS"):
        create_app({"PASSALONG_INSTANCE": str(tmp_path), "PASSALONG_WORKERS": "many"})


def test_an_instance_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="PASSALONG_INSTANCE"):
        create_app({"PASSALONG_INSTANCE": str(tmp_path / "file" / "instance")})


def test_it_starts_while_the_database_is_away_and_is_not_ready(tmp_path: Path) -> None:
    away = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    app = create_app(settings_in(tmp_path, PASSALONG_DATABASE_URL=away, PASSALONG_QUEUE_URL=f"sqlite:///{tmp_path}/q"))
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"database": False, "queue": True})
    assert client.post("/webhooks/0123456789abcdef", data=b"{}").status_code == 503
    installation_of(app).close()


def test_a_database_that_was_away_is_made_ready_when_it_is_back(tmp_path: Path) -> None:
    books = tmp_path / "books"
    app = create_app(settings_in(tmp_path, PASSALONG_DATABASE_URL=f"sqlite:///{books}/pa.db"))
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    books.mkdir()
    assert client.get("/readyz").status_code == 200
    installation_of(app).close()


def test_lost_keys_refuse_to_start_instead_of_writing_with_new_ones(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    app = create_app(settings)
    World(app).shop()
    installation_of(app).close()
    keys = settings.instance / "keys.json"
    kept = keys.read_text()
    keys.unlink()
    for _ in range(2):
        with pytest.raises(SettingsError, match="PASSALONG_KEYS .* from a backup"):
            create_app(settings)
    keys.write_text(kept)
    installation_of(create_app(settings)).close()


def test_a_foreign_package_with_a_name_of_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = types.ModuleType("webhooks")
    foreign.__file__ = "/srv/shop/webhooks/__init__.py"
    monkeypatch.setitem(sys.modules, "webhooks", foreign)
    with pytest.raises(ForeignPackage, match="/srv/shop/webhooks"):
        create_app(settings_in(tmp_path))


def test_the_commands_and_the_domain_load_nothing_heavy() -> None:
    heavy = "{'flask', 'sqlalchemy', 'huey', 'waitress', 'alembic', 'cryptography'}"
    code = f"import plugin.cli, plugin.domain.order, sys; sys.exit(str(sorted({heavy} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stderr.strip() == "[]"


# --- ready ----------------------------------------------------------------------------------------------------------


def test_it_is_ready_with_database_queue_and_migrations(world: World) -> None:
    assert world.client.get("/healthz").status_code == 200
    answer = world.client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"database": True, "queue": True})


def test_it_is_not_ready_on_a_database_of_another_version_and_leaves_that_alone(world: World) -> None:
    with world.context.database.writing() as connection:
        connection.execute(text("UPDATE pa_version SET version_num = '0000'"))
    assert world.client.get("/readyz").status_code == 503
    assert world.client.get("/healthz").status_code == 200
    with world.context.database.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM pa_version")).scalar_one() == "0000"


def test_it_is_not_ready_where_the_queue_cannot_be_reached(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path, PASSALONG_QUEUE_URL=f"sqlite:///{tmp_path}/missing/queue.db"))
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"database": True, "queue": False})
    installation_of(app).close()


# --- numbers --------------------------------------------------------------------------------------------------------


def test_metrics_are_closed_without_a_token_in_the_settings(world: World) -> None:
    assert world.client.get("/metrics").status_code == 404
    assert world.client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_metrics_open_to_their_token_alone(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path, PASSALONG_METRICS_TOKEN=TOKEN))
    world = World(app)
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    shop.told(shop.order(codes=["ALICE"]))
    shop.post(b"{}", {})  # unsigned
    assert shop.balance(alice)["pending"] == "10.00"
    assert world.client.get("/metrics", headers={"Authorization": "Bearer a-wrong-token-wrong"}).status_code == 404
    answer = world.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    lines = answer.get_data(as_text=True).splitlines()
    for line in (
        "passalong_database_up 1.0",
        'passalong_deliveries{state="stored"} 0.0',
        "passalong_inbox_late_seconds 0.0",
        "passalong_transfers_total 1.0",
        'passalong_deliveries_refused_total{code="bad_signature"} 1.0',
    ):
        assert line in lines, (line, lines)
    assert answer.content_type.startswith("text/plain")
    installation_of(app).close()


def test_metrics_still_answer_while_the_database_is_away(tmp_path: Path) -> None:
    away = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    app = create_app(settings_in(tmp_path, PASSALONG_DATABASE_URL=away, PASSALONG_METRICS_TOKEN=TOKEN))
    answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert b"passalong_database_up 0.0" in answer.data
    installation_of(app).close()


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "/broken", 500, "internal_error"),
    ],
)
def test_errors_outside_the_api_are_problems_too(
    settings: Settings, method: str, path: str, status: int, code: str
) -> None:
    app = create_app(settings)

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("a secret of the inside")

    answer = app.test_client().open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    said = json.loads(answer.data)
    assert (said["status"], said["code"]) == (status, code)
    assert "secret" not in answer.get_data(as_text=True)
    installation_of(app).close()


def test_no_answer_is_without_the_security_headers_and_none_sets_a_cookie(world: World) -> None:
    for path in ("/healthz", "/readyz", "/nothing", "/s/nothing", "/webhooks/nothing", "/api/v1/openapi.json"):
        answer = world.client.get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"], path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert "Set-Cookie" not in answer.headers, path


def test_a_slash_at_the_end_is_added_wherever_the_request_says_it_went(world: World) -> None:
    for path, led in (("/admin?a=b", "/admin/?a=b"), ("/me", "/me/"), ("/admin//x.example/", "/admin/x.example/")):
        answer = world.app.test_client().get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.headers["Location"]) == (308, led)


def test_a_redirect_of_a_share_link_sets_no_cookie(world: World) -> None:
    shop = world.shop()
    link = shop.link(shop.sharer())
    answer = world.client.get(f"/s/{link['code']}", headers={"User-Agent": "Mozilla/5.0"})
    assert answer.status_code == 302
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("proxies", "address", "scheme"), [(0, "10.0.0.9", "http"), (1, "203.0.113.7", "https")])
def test_proxies_are_believed_only_as_far_as_they_are_counted(
    tmp_path: Path, proxies: int, address: str, scheme: str
) -> None:
    app = create_app(settings_in(tmp_path, PASSALONG_TRUSTED_PROXIES=proxies))

    @app.get("/who")
    def who() -> dict[str, str | None]:
        return {"address": request.remote_addr, "scheme": request.scheme}

    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
    answer = Client(app).get("/who", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert answer.get_json() == {"address": address, "scheme": scheme}
    installation_of(app).close()


def test_a_click_comes_from_whom_the_proxy_names(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path, PASSALONG_TRUSTED_PROXIES=1))
    shop = World(app).shop()
    path = f"/s/{shop.link(shop.sharer())['code']}"
    for address in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
        headers = {"User-Agent": "Mozilla/5.0", "X-Forwarded-For": address}
        assert Client(app).get(path, headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 302
    installation = installation_of(app)
    installation.close()
    with installation.context.database.reading() as connection:
        visitors = list(connection.execute(select(click.c.visitor).order_by(click.c.id)).scalars())
    assert visitors[0] == visitors[1] != visitors[2]


def test_two_apps_in_one_process_do_not_know_of_each_other(tmp_path: Path) -> None:
    one, other = create_app(settings_in(tmp_path / "one")), create_app(settings_in(tmp_path / "other"))
    shop = World(one).shop()
    assert other.test_client().post(f"/webhooks/{shop.key}", data=b"{}").status_code == 404
    for app in (one, other):
        installation_of(app).close()
