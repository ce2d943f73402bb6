"""Endpoints under attack and in crashes: no address inside is ever called, and who is killed loses nothing. Case 53."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugin.services import send_events
from tests.receiver import Receiver, Roads, answer
from tests.world import Clock, Shop, World

INSIDE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://192.168.0.1:8443/",
    "https://172.16.0.1/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://localhost/",
    "https://LOCALHOST./",
]
NO_ADDRESS = [
    "http://hooks.example.com/",
    "http://127.0.0.1:8000/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com:70/_",
    "https://user@hooks.example.com/",
    "https://user:word@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https:///hook",
    "//hooks.example.com/",
    "hooks.example.com",
    "javascript:alert(1)",
    " ",
]


@pytest.fixture
def shop(world: World, roads: Roads) -> Shop:
    return world.shop()


def add(world: World, url: str) -> Any:
    return world.call("POST", "/endpoints", {"url": url}, expect=201)


def refused(world: World, method: str, path: str, url: str) -> str:
    """Have an address refused; return the sentence."""
    told = world.call(method, path, {"url": url}, expect=422)
    assert told["code"] == "forbidden_address" and list(told["errors"]) == ["url"]
    (sentence,) = told["errors"]["url"]
    return str(sentence)


def reasons(world: World, made: Any) -> set[str]:
    """Return why events did not arrive."""
    items = world.call("GET", f"/endpoints/{made['id']}/deliveries", expect=200)["items"]
    return {one["reason"] for one in items}


# --- addresses inside -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", INSIDE)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fault_53_an_address_inside_is_refused_when_it_is_typed_in(world: World, roads: Roads, url: str) -> None:
    assert "is not in the public internet" in refused(world, "POST", "/endpoints", url)
    said = world.command("endpoint", "add", url, expect=1)
    assert "is not in the public internet" in said and said.count("\n") == 1
    assert world.call("GET", "/endpoints", expect=200)["items"] == [] and roads.walked == []


@pytest.mark.parametrize("url", NO_ADDRESS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fault_53_what_is_no_public_https_address_is_refused(world: World, receiver: Receiver, url: str) -> None:
    made = add(world, receiver.url)
    for method, path in (("POST", "/endpoints"), ("PATCH", f"/endpoints/{made['id']}")):
        assert "address" in refused(world, method, path, url)
    assert world.call("GET", f"/endpoints/{made['id']}", expect=200)["url"] == receiver.url


@pytest.mark.parametrize("name", ["metadata.google.internal", "hooks.example.com", "127.0.0.1.nip.example"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fault_53_a_name_that_leads_inside_is_refused_even_beside_a_public_address(
    world: World, roads: Roads, name: str
) -> None:
    for addresses in (["169.254.169.254"], ["93.184.215.14", "10.0.0.1"], ["::1"], ["::ffff:169.254.169.254"]):
        roads.names[name] = addresses
        assert f"{name} is not in the public internet" in refused(world, "POST", "/endpoints", f"https://{name}/")


def test_fault_53_a_name_that_leads_inside_later_is_never_called(
    world: World, shop: Shop, roads: Roads, clock: Clock
) -> None:
    roads.names["hooks.example.com"] = []  # nobody can tell yet where it leads
    made = add(world, "https://hooks.example.com/")
    shop.plan()
    world.work()
    assert "There is no server of the name hooks.example.com" in reasons(world, made).pop()
    roads.names["hooks.example.com"] = ["169.254.169.254"]
    clock.add(5)
    world.work()
    assert reasons(world, made) == {"hooks.example.com is not in the public internet, so it may not be called."}
    pinged = world.call("POST", f"/endpoints/{made['id']}/test", {}, expect=200)
    assert not pinged["arrived"] and "public internet" in pinged["reason"]
    assert roads.walked == []


def test_fault_53_a_name_that_changes_between_check_and_use_leads_nowhere(
    world: World, shop: Shop, roads: Roads, receiver: Receiver
) -> None:
    """DNS rebinding: the address that was checked is the one that is called, and it is asked for once."""
    add(world, receiver.url)
    public, asked = roads.names["hooks.example.com"], []

    class Rebinding(list[str]):
        def __iter__(self) -> Iterator[str]:
            asked.append(len(asked))
            return iter(public if len(asked) == 1 else ["127.0.0.1"])

    roads.names["hooks.example.com"] = Rebinding(public)
    shop.plan()
    world.work()
    assert len(asked) == 1 and roads.walked == public and len(receiver.heard) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_fault_53_a_redirect_to_the_inside_is_not_followed(
    world: World, shop: Shop, roads: Roads, receiver: Receiver, status: int
) -> None:
    made = add(world, receiver.url)
    receiver.answers.append(answer(status, "Location: https://169.254.169.254/latest/meta-data/"))
    shop.plan()
    world.work()
    assert len(receiver.heard) == 1 and set(roads.walked) == set(roads.names["hooks.example.com"])
    assert "redirects are not followed" in reasons(world, made).pop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fault_53_what_a_receiver_says_is_shown_to_nobody(world: World, shop: Shop, receiver: Receiver) -> None:
    """Whoever may name an address must not read what lies behind it."""
    made = add(world, receiver.url)
    receiver.always = answer(500, "X-Secret: canary-5f2c91", body=b"canary-5f2c91")
    shop.plan()
    world.work()
    pinged = world.response("POST", f"/endpoints/{made['id']}/test", {}).get_data(as_text=True)
    shown = world.response("GET", f"/endpoints/{made['id']}").get_data(as_text=True)
    assert "canary" not in f"{pinged} {shown} {reasons(world, made)}"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_fault_53_logs_name_no_path_and_no_secret(
    world: World, shop: Shop, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    made = add(world, receiver.url)
    receiver.always = answer(500)
    with caplog.at_level("DEBUG"):
        shop.plan()
        world.work()
    assert made["id"] in caplog.text and "hooks.example.com answered 500" in caplog.text
    assert "for=passalong" not in caplog.text and made["secret"] not in caplog.text


# --- crashes --------------------------------------------------------------------------------------------------------


def test_killed_between_sending_and_writing_it_down_the_event_is_sent_again_with_its_id(
    world: World, shop: Shop, roads: Roads, receiver: Receiver, clock: Clock, tmp_path: Path
) -> None:
    made = add(world, receiver.url)
    shop.plan()
    settings = world.context.settings
    told = {
        "settings": {
            "PASSALONG_DATABASE_URL": settings.database_url,
            "PASSALONG_INSTANCE": str(settings.instance),
            "PASSALONG_QUEUE_URL": settings.queue_url,
            "PASSALONG_WORKERS": 0,
        },
        "port": receiver.port,
        "address": roads.names["hooks.example.com"][0],
        "certificate": str(tmp_path / "receivers" / "hooks.example.com" / "server.pem"),
        "now": clock.at,
    }
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, str(here.with_name("dying_sender.py")), json.dumps(told)],
        cwd=here.parents[2],
        env={"PYTHONPATH": str(here.parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert len(receiver.heard) == 1
    world.work()
    assert len(receiver.heard) == 1  # the dead worker's lease holds: nobody else sends it meanwhile
    clock.add(send_events.LEASE_SECONDS)
    world.work()
    first, again = receiver.heard
    assert (first.id, first.body) == (again.id, again.body) and again.verify(made["secret"])
    world.work()
    assert len(receiver.heard) == 2


def test_a_fault_of_ours_in_one_endpoint_keeps_no_other_waiting(
    world: World, shop: Shop, roads: Roads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = roads.receiver("bad.example.com"), roads.receiver("good.example.com")
    made = add(world, bad.url)
    add(world, good.url)
    deliver = send_events.deliver

    def broken(context: Any, url: str, secrets: Any, message: Any) -> Any:
        if url == bad.url:
            raise ZeroDivisionError
        return deliver(context, url, secrets, message)

    monkeypatch.setattr(send_events, "deliver", broken)
    shop.plan()
    world.work()
    assert len(good.heard) == 1 and bad.heard == []
    assert f"sending to {made['id']} failed: ZeroDivisionError" in caplog.text
