"""The export: it proves itself, tells no secret, is fetched once by the owner who asked, and goes after a day."""

import csv
import hashlib
import io
import json
import zipfile
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text

from plugin.models import export, export_piece
from plugin.services import export_shop, long_tasks
from plugin.services.erase_person import erase_person
from plugin.services.kept_exports import ask_export, forget_exports
from tests.admin_ui.office import Office, plain
from tests.admin_ui.small_shop import lively
from tests.world import Clock, Shop, World

SHEETS = [
    *("sharers", "links", "codes", "orders", "decisions", "accounts", "transfers", "facts", "plans", "payouts"),
    *("payout-items", "payout-commissions", "deliveries", "events"),
]


def made(world: World, shop: Shop) -> Office:
    """Have an export made; return the office of the owner."""
    owner = Office(world)
    owner.send(f"/{shop.key}/export")
    world.work()
    return owner


def fetched(owner: Office, shop: Shop) -> zipfile.ZipFile:
    """Fetch the file as a browser does."""
    answer = owner.browser.client.get(owner.send(f"/{shop.key}/export/fetch").headers["Location"])
    assert answer.status_code == 200 and answer.mimetype == "application/zip"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    return zipfile.ZipFile(io.BytesIO(answer.data))


def rows(file: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    """Return the lines of a sheet."""
    return [json.loads(line) for line in file.read(f"{name}.jsonl").splitlines()]


def test_the_file_proves_itself(world: World, clock: Clock) -> None:
    shop = lively(world).shop
    file = fetched(made(world, shop), shop)
    assert file.testzip() is None
    manifest = json.loads(file.read("manifest.json"))
    names = [one["name"] for one in manifest["files"]]
    assert names == [f"{name}.{end}" for name in SHEETS for end in ("csv", "jsonl")]
    assert file.namelist() == [*names, "manifest.json"]
    for one in manifest["files"]:
        data = file.read(one["name"])
        assert (one["bytes"], one["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        if one["name"].endswith(".csv"):
            assert data.startswith(b"\xef\xbb\xbf")
            lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
            assert len(lines) == 1 + one["rows"] and {len(line) for line in lines} == {len(lines[0])}
        else:
            assert len(data.splitlines()) == one["rows"]
    assert all(one["rows"] for one in manifest["files"])
    balances: dict[int, Decimal] = defaultdict(Decimal)
    for transfer in rows(file, "transfers"):
        balances[transfer["to_account"]] += Decimal(transfer["amount"])
        balances[transfer["from_account"]] -= Decimal(transfer["amount"])
    accounts = rows(file, "accounts")
    assert {one["id"]: Decimal(one["balance"]) for one in accounts} == balances
    assert {one["id"]: Decimal(one["booked_in"]) - Decimal(one["booked_out"]) for one in accounts} == balances
    assert manifest["accounts"] == {str(one["id"]): one["balance"] for one in accounts}
    assert manifest["sums"] == {"USD": "0.00"}
    order = next(one for one in rows(file, "orders") if one["id"] == "o1")
    seen = world.call("GET", f"/orders/o1?shop={shop.key}", expect=200)
    assert (order["net"], order["refunded"]) == (seen["net"], seen["refunded"])
    assert order["decision"]["winner"] == seen["commissions"][0]["sharer"] and order["order"]["lines"]


def test_nothing_in_it_is_secret_or_acts_in_a_spreadsheet(world: World, clock: Clock) -> None:
    small = lively(world)
    shop = small.shop
    world.call("PATCH", f"/sharers/{small.sharer}", {"group": "=cmd|'/c calc'!A0"}, expect=200)
    file = fetched(made(world, shop), shop)
    whole = b"".join(file.read(name) for name in file.namelist())
    evidence = shop.receipt("o0")["evidence"]
    (token,) = {one["source"] for one in evidence if one["kind"] == "link"}
    for secret in (shop.secret, world.token, token, "password_hash", "email_hash", "argon2"):
        assert secret.encode() not in whole, secret
    assert b"buyers.example" not in whole  # what deliveries said of buyers
    sharers = list(csv.DictReader(io.StringIO(file.read("sharers.csv").decode("utf-8-sig"), newline="")))
    assert "'=cmd|'/c calc'!A0" in {one["group"] for one in sharers}
    for name in SHEETS:
        for line in csv.reader(io.StringIO(file.read(f"{name}.csv").decode("utf-8-sig"), newline="")):
            assert not any(cell[:1] in "=+@\t\r" and cell for cell in line), (name, line)


def test_it_is_sealed_where_it_lies_and_goes_after_a_day(world: World, clock: Clock) -> None:
    shop = lively(world).shop
    owner = made(world, shop)
    with world.context.database.reading() as connection:
        body = bytes(connection.execute(select(export_piece.c.body)).scalars().first() or b"")
    assert body and b"sharers.csv" not in body and b"PK" not in body[:32]
    assert forget_exports(world.context) == 0
    clock.add(86_400)
    assert forget_exports(world.context) == 1 and pieces(world) == 0
    assert "There is none now." in plain(owner.see(f"/{shop.key}/export"))


def pieces(world: World) -> int:
    """Return how many pieces of exports there are."""
    with world.context.database.reading() as connection:
        count: int = connection.execute(select(func.count()).select_from(export_piece)).scalar_one()
    return count


def test_its_address_works_once_and_for_its_owner_alone(world: World, clock: Clock) -> None:
    shop = lively(world).shop
    owner, other = made(world, shop), Office(world)
    address = owner.send(f"/{shop.key}/export/fetch").headers["Location"]
    assert other.browser.client.get(address).status_code == 303
    assert owner.browser.client.get(address).status_code == 200
    assert "was used already" in plain(owner.follow(owner.browser.client.get(address)))
    address = owner.send(f"/{shop.key}/export/fetch").headers["Location"]
    clock.add(601)
    assert owner.browser.client.get(address).status_code == 303
    elsewhere = world.shop(url="https://elsewhere.example.com")
    address = owner.send(f"/{shop.key}/export/fetch").headers["Location"]
    assert owner.browser.client.get(address.replace(shop.key, elsewhere.key)).status_code == 303
    assert owner.browser.client.get(f"/admin/{shop.key}/export/{'A' * 22}.zip").status_code == 303


def test_only_an_owner_who_signed_in_just_now_has_it_made_and_fetches_it(world: World, clock: Clock) -> None:
    shop = lively(world).shop
    for role in ("manager", "payer", "viewer"):
        office = Office(world, role)
        office.see(f"/{shop.key}/export", expect=403)
        for path in ("", "/fetch", "/remove"):
            office.send(f"/{shop.key}/export{path}", expect=403)
    owner = made(world, shop)
    clock.add(16 * 60)
    for path in ("", "/fetch"):
        assert "/again" in owner.send(f"/{shop.key}/export{path}").headers["Location"]


def test_who_is_erased_stays_erased(world: World, clock: Clock) -> None:
    shop = world.shop()
    shop.sharer("alice")
    owner = made(world, shop)
    assert rows(fetched(owner, shop), "sharers")[0]["email"] == "alice@example.org"
    erase_person(world.context, email="alice@example.org", shop_id=None)
    assert pieces(world) == 0
    owner.send(f"/{shop.key}/export")
    world.work()
    file = fetched(owner, shop)
    (alice,) = rows(file, "sharers")
    assert (alice["email"], alice["name"]) == (None, None) and alice["erased_at"]
    assert b"alice@example.org" not in b"".join(file.read(name) for name in file.namelist())


def test_an_export_under_way_when_somebody_is_erased_is_made_anew(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = world.shop()
    shop.sharer("alice")
    told, erased = long_tasks.keep, []

    def erase(*args: Any) -> None:
        if not erased:
            erased.append(1)
            with world.context.database.writing() as connection:
                connection.execute(text("UPDATE pa_person SET name = NULL, email = NULL, erased_at = 1"))
                connection.execute(export_piece.delete())
                connection.execute(export.delete())
        told(*args)

    monkeypatch.setattr(long_tasks, "TELL_EVERY_SECONDS", 0)
    monkeypatch.setattr(long_tasks, "keep", erase)
    monkeypatch.setattr(export_shop, "PIECE_BYTES", 64)
    owner, path = Office(world), f"/{shop.key}/export"
    owner.send(path)
    world.work()
    assert erased and pieces(world) == 0
    assert "was removed while it was being made" in plain(owner.see(path))
    clock.add(10)
    world.work()
    assert rows(fetched(owner, shop), "sharers")[0]["email"] is None


def test_a_new_one_takes_the_place_of_the_old_and_one_can_be_removed(world: World, clock: Clock) -> None:
    shop = world.shop()
    owner, path = made(world, shop), f"/{shop.key}/export"
    first = pieces(world)
    owner.send(path)
    owner.send(path)
    world.work()
    assert pieces(world) == first > 0
    assert "The export is removed." in plain(owner.follow(owner.send(f"{path}/remove")))
    assert pieces(world) == 0
    assert owner.send(f"{path}/fetch").headers["Location"].endswith(path)


def test_a_worker_that_died_leaves_nothing_behind(world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    shop = lively(world).shop
    monkeypatch.setattr(export_shop, "PIECE_BYTES", 1_000)
    owner, path = Office(world), f"/{shop.key}/export"
    owner.send(path)
    with monkeypatch.context() as patched:
        patched.setattr(export_shop, "_manifest", kill)
        with pytest.raises(Killed):
            world.work()
    assert pieces(world) > 0 and "It is being made:" in plain(owner.see(path))
    clock.add(200)
    world.work()
    with world.context.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(export)).scalar_one() == 1
    assert fetched(owner, shop).testzip() is None


def test_the_page_tells_how_far_it_is(world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = lively(world).shop
    monkeypatch.setattr(long_tasks, "TELL_EVERY_SECONDS", 0)
    owner, path, told, seen = Office(world), f"/{shop.key}/export", long_tasks.keep, []

    def look(*args: Any) -> None:
        told(*args)
        seen.append(plain(owner.see(path)))

    monkeypatch.setattr(long_tasks, "keep", look)
    page = owner.follow(owner.send(path))
    assert "as soon as a worker is free" in plain(page)
    mark = page.split("progress?seen=")[1].split('"')[0]
    ask = {"HX-Request": "true"}
    assert owner.browser.client.get(f"/admin{path}/progress?seen={mark}", headers=ask).status_code == 204
    world.work()
    assert any("It is being made: 0%" in one for one in seen) and any("It is being made: 9" in one for one in seen)
    part = owner.browser.client.get(f"/admin{path}/progress?seen={mark}", headers=ask).get_data(as_text=True)
    assert "Download" in plain(part) and "<html" not in part
    assert owner.browser.client.get(f"/admin{path}/progress").status_code == 303


def test_another_shop_s_things_are_not_in_it(world: World, clock: Clock) -> None:
    lively(world)
    elsewhere = world.shop(url="https://elsewhere.example.com")
    ask_export(world.context, 1)
    file = fetched(made(world, elsewhere), elsewhere)
    whole = b"".join(file.read(name) for name in file.namelist())
    assert b"tea.example.com" not in whole and b"o1" not in file.read("orders.csv")
    assert {len(rows(file, name)) for name in ("sharers", "orders", "transfers", "deliveries")} == {0}
