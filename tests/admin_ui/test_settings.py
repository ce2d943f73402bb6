"""Settings: what is kept is what was typed, secrets are shown once, and only owners open doors or erase."""

import re
from dataclasses import replace

import pytest

from admin_ui.owner.settings import contrast
from plugin.services.manage_program import show_program
from tests.admin_ui.office import Office, field_of, plain
from tests.world import World

BRAND = {"brand_color": "#0f766e", "logo_url": "", "join_mode": "approve", "language": ""}


def test_how_the_program_looks_is_kept(world: World) -> None:
    shop = world.shop(timezone="Asia/Taipei")
    manager = Office(world, "manager")
    page = manager.see(f"/{shop.key}/settings")
    assert f"/webhooks/{shop.key}" in page and f"/pa/{shop.key}.js" in page and "Asia/Taipei" in page
    wanted = BRAND | {"brand_color": "#FFEE00", "logo_url": "https://cdn.example/logo.png", "join_mode": "open"}
    page = manager.follow(manager.send(f"/{shop.key}/settings/brand", wanted))
    assert field_of(page, "brand_color") == "#ffee00" and field_of(page, "logo_url") == wanted["logo_url"]
    assert "hard to read" in plain(page) and re.search(r'value="open" selected', page)
    assert "hard to read" not in plain(manager.follow(manager.send(f"/{shop.key}/settings/brand", BRAND)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"brand_color": "red"},
        {"logo_url": "http://cdn.example/logo.png"},
        {"logo_url": "javascript:alert(1)"},
        {"join_mode": "sometimes"},
        {"language": "tlh"},
    ],
)
def test_what_is_wrong_is_said_at_its_field(world: World, wrong: dict[str, str]) -> None:
    shop = world.shop()
    page = Office(world).send(f"/{shop.key}/settings/brand", BRAND | wrong, expect=422).get_data(as_text=True)
    assert f'id="{next(iter(wrong))}-error"' in page


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff") == 1 and round(contrast("#000000"), 6) == 21
    assert contrast("#767676") > 4.5 > contrast("#777777")


def test_a_new_webhook_secret_is_shown_once_and_both_are_good_for_a_day(world: World) -> None:
    shop = world.shop()
    owner = Office(world)
    page = owner.send(f"/{shop.key}/settings/secret", expect=200).get_data(as_text=True)
    found = re.search(r'<code id="secret">(whsec_[^<]+)</code>', page)
    assert found and found[1] not in owner.see(f"/{shop.key}/settings")
    shop.deliver(shop.order())
    shop.secret = found[1]
    shop.deliver(shop.order())
    Office(world, "manager").send(f"/{shop.key}/settings/secret", expect=403)


def test_a_buyer_is_erased_by_e_mail_or_order(world: World) -> None:
    shop = world.shop()
    shop.plan()
    shop.sharer("alice")
    order = shop.told(shop.order("o1"))
    owner, path = Office(world), f"/{shop.key}/settings/erase"
    for fields in (
        {"email": "alice@example.org"},
        {"sure": "yes"},
        {"sure": "yes", "email": "alice"},
        {"sure": "yes", "order": "o2"},
    ):
        owner.send(path, fields, expect=422)
    assert world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"][0]["name"] == "alice"
    owner.send(path, {"sure": "yes", "email": "Alice@example.org"})
    assert world.call("GET", f"/sharers?shop={shop.key}", expect=200)["items"][0]["name"] is None
    owner.send(path, {"sure": "yes", "order": "o1"})
    assert shop.see("o1") == order
    Office(world, "manager").send(path, {"sure": "yes", "order": "o1"}, expect=403)


def test_a_shop_that_cannot_be_asked_is_not(world: World) -> None:
    shop = world.shop()
    owner = Office(world)
    assert "cannot be asked" in plain(owner.see(f"/{shop.key}/settings"))
    owner.send(f"/{shop.key}/settings/reconcile", expect=409)


def test_endpoints_are_added_switched_and_removed(world: World) -> None:
    shop, other = world.shop(), world.shop(url="https://other.example.com")
    owner, path = Office(world), f"/{shop.key}/endpoints"
    for url in ("", "ftp://hooks.example.com", "http://127.0.0.1:9/", "https://localhost/x", "nonsense"):
        owner.send(path, {"url": url}, expect=422)
    page = owner.send(path, {"url": "https://93.184.216.34/hook"}, expect=200).get_data(as_text=True)
    secret = re.search(r'<code id="secret">(whsec_[^<]+)</code>', page)
    assert secret and secret[1] not in owner.see(path)
    name = field_of(owner.see(path), "endpoint")
    assert "It is off." in plain(owner.follow(owner.send(f"{path}/change", {"endpoint": name, "do": "off"})))
    owner.send(f"{path}/change", {"endpoint": name, "do": "on"})
    owner.send(f"{path}/change", {"endpoint": name, "do": "again"})
    owner.send(f"{path}/change", {"endpoint": name, "do": "burn"}, expect=422)
    owner.send(f"/{other.key}/endpoints/change", {"endpoint": name, "do": "remove"}, expect=404)
    owner.send(f"{path}/change", {"endpoint": name, "do": "remove"})
    assert "There are none yet." in plain(owner.see(path))
    Office(world, "manager").see(path, expect=403)


def test_an_endpoint_gets_the_kinds_of_events_that_are_ticked(world: World) -> None:
    shop = world.shop()
    owner, path = Office(world), f"/{shop.key}/endpoints"
    url = "https://93.184.216.34/hook"
    owner.send(path, {"url": url, "types": ["order.decided", "order.unknown"]}, expect=422)
    owner.send(path, {"url": "nonsense", "types": ["plan.changed"]}, expect=422)
    assert world.call("GET", "/endpoints", expect=200)["items"] == []
    page = owner.send(path, {"url": url, "types": ["payout.paid", "order.decided"]}, expect=200).get_data(as_text=True)
    assert "Only order.decided, payout.paid" in plain(page)
    name, change = field_of(page, "endpoint"), f"{path}/change"
    owner.send(change, {"endpoint": name, "do": "types", "types": ["order.unknown"]}, expect=422)
    owner.send(change, {"endpoint": name, "do": "types", "types": ["plan.changed"]})
    (made,) = world.call("GET", "/endpoints", expect=200)["items"]
    assert made["types"] == ["plan.changed"] and made["state"] == "enabled"
    page = owner.see(path)
    assert re.findall(r'value="([a-z_.]+)" checked', page) == ["plan.changed"]
    assert "All kinds of events" in plain(owner.follow(owner.send(change, {"endpoint": name, "do": "types"})))
    (made,) = world.call("GET", "/endpoints", expect=200)["items"]
    assert made["types"] == []
    Office(world, "manager").send(change, {"endpoint": name, "do": "types"}, expect=403)


def test_health_is_for_those_who_run_everything(world: World) -> None:
    shop = world.shop()
    assert "Guards of the books" in plain(Office(world).see(f"/{shop.key}/health"))
    Office(world, shop=shop).see(f"/{shop.key}/health", expect=403)
    Office(world, "manager").see(f"/{shop.key}/health", expect=403)


def test_shops_are_added_by_those_who_run_everything(world: World) -> None:
    shop = world.shop()
    wanted = {"platform": "generic", "url": "https://b.example.com", "currency": "USD", "timezone": "UTC"}
    of_one = Office(world, shop=shop)
    of_one.see("/shops/new", expect=403)
    of_one.send("/shops/new", wanted, expect=403)
    Office(world).send("/shops/new", wanted)


def test_a_test_mail_goes_to_whoever_asks(world: World, caplog: pytest.LogCaptureFixture) -> None:
    shop = world.shop()
    manager, path = Office(world, "manager", shop=shop), f"/{shop.key}/mails"
    assert "PASSALONG_MAIL_URL" in plain(manager.see(path))
    assert "The mail server took it." in plain(manager.follow(manager.send(f"{path}/try")))
    assert manager.email in caplog.text
    for _ in range(9):
        manager.send(f"{path}/try")
    manager.send(f"{path}/try", expect=429)
    settings = replace(world.context.settings, mail_url="smtp://127.0.0.1:1")
    object.__setattr__(world.context, "settings", settings)
    again = Office(world)
    assert "cannot be reached" in plain(again.send(f"{path}/try", expect=422).get_data(as_text=True))
    Office(world, "payer").send(f"{path}/try", expect=403)


def test_a_shop_says_which_mails_it_sends_and_in_which_language(world: World) -> None:
    shop = world.shop()
    manager, path = Office(world, "manager"), f"/{shop.key}/mails"
    page = manager.follow(manager.send(path, {"mails": ["first_commission", "paid"], "language": "ja"}))
    assert re.findall(r'value="(\w+)" checked', page) == ["first_commission", "paid"]
    assert re.search(r'value="ja" selected', page)
    with world.context.database.reading() as connection:
        program = show_program(connection, 1)
    assert program.mails_off == ("ready", "payout_failed", "weekly_digest") and program.language == "ja"
    page = manager.send(path, {"mails": ["paid"], "language": "tlh"}, expect=422).get_data(as_text=True)
    assert 'id="language-error"' in page and manager.see(path).count(" checked") == 2
    Office(world, "viewer").send(path, {"mails": []}, expect=403)


def test_everything_that_is_set_is_found_from_settings(world: World) -> None:
    shop = world.shop()
    for office, ways in (
        (Office(world), ("connect", "team", "endpoints", "mails", "books", "export", "health")),
        (Office(world, shop=shop), ("connect", "team", "endpoints", "mails", "books", "export")),
        (Office(world, "manager"), ("mails", "books")),
    ):
        page = office.see(f"/{shop.key}/settings")
        main = page.partition("<main")[2]
        linked = set(re.findall(rf'href="/admin/{shop.key}/(\w+)"', main))
        assert linked == set(ways), office.email
        for way in ways:
            office.see(f"/{shop.key}/{way}")
    assert "/admin/shops/new" in Office(world).see(f"/{shop.key}/settings")


def test_keys_and_their_ages_stand_on_the_health_page(world: World) -> None:
    shop = world.shop()
    page = plain(Office(world).see(f"/{shop.key}/health"))
    assert "PASSALONG_MAIL_URL" in page and "sign:" in page and "encrypt:" in page
