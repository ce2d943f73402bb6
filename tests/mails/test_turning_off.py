"""The address that turns mails of a kind off: without signing in, never by a look, and for nobody else."""

import pytest
from werkzeug.test import TestResponse

from plugin.services.choose_mails import OWNER, PERSON, choose_mails, read_choices
from plugin.services.manage_access import add_owner
from tests.mails.post_office import PostOffice
from tests.world import Shop, World

ROOT = "http://127.0.0.1:8000"


@pytest.fixture
def shop(posting: World) -> Shop:
    """Give a shop with two sharers who earned."""
    shop = posting.shop(name="Tea House")
    shop.plan()
    for name in ("alice", "bob"):
        shop.sharer(name, codes=[name.upper()])
        shop.deliver(shop.order(codes=[name.upper()]))
    posting.work()
    return shop


def choices(world: World, number: int = 1) -> dict[str, bool]:
    """Return what a person chose."""
    with world.context.database.reading() as connection:
        return read_choices(connection, PERSON, number)


def post(world: World, address: str, **form: str) -> TestResponse:
    """Use the address as a mail program or the page's button does."""
    return world.client.post(address.removeprefix(ROOT), data=form)


def test_one_tap_turns_mails_of_this_kind_off_and_another_on_again(
    posting: World, office: PostOffice, shop: Shop
) -> None:
    alice, bob = office.take()
    assert alice.off and bob.off and alice.off != bob.off
    assert post(posting, alice.off, **{"List-Unsubscribe": "One-Click"}).status_code == 200
    assert choices(posting) == {"first_commission": False, "ready": True, "paid": True}
    assert choices(posting, 2) == {"first_commission": True, "ready": True, "paid": True}
    posting.release()
    posting.work()
    ready, _ = office.take()
    assert ready.off
    assert post(posting, ready.off, mails="").status_code == 200
    assert choices(posting) == {"first_commission": False, "ready": False, "paid": True}
    page = post(posting, ready.off, mails="on")
    assert "You will get these mails again." in page.get_data(as_text=True)
    assert choices(posting) == {"first_commission": False, "ready": True, "paid": True}


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ("en", "Turn off these mails?"),
        ("zh-TW", "要停止接收這類信件嗎？"),
        ("zh-CN", "要停止接收此类邮件吗？"),
        ("ja", "このメールの配信を停止しますか？"),
    ],
)
def test_a_look_changes_nothing(posting: World, office: PostOffice, shop: Shop, accept: str, said: str) -> None:
    address = office.take()[0].off
    assert address
    answer = posting.client.get(address.removeprefix(ROOT), headers={"Accept-Language": accept})
    assert answer.status_code == 200
    assert said in answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert all(choices(posting).values())


def test_an_address_that_was_not_made_here_turns_nothing_off(posting: World, office: PostOffice, shop: Shop) -> None:
    address = office.take()[0].off
    assert address
    for wrong in (
        address[:-1] + ("A" if address[-1] != "A" else "B"),
        address.replace("/first_commission/", "/ready/"),
        address.replace("/person/", "/owner/"),
        address.replace("/person/first_commission/", "/owner/weekly_digest/"),
        address.replace("/first_commission/", "/payout_failed/"),
        address.replace("/person/", "/nobody/"),
        f"{ROOT}/mails/off/person/ready/",
        f"{ROOT}/mails/off/person/ready/{'x' * 5000}",
        f"{ROOT}/mails/off/person/ready/%00%ff",
    ):
        assert post(posting, wrong).status_code == 404, wrong
        assert posting.client.get(wrong.removeprefix(ROOT)).status_code == 404, wrong
    assert all(choices(posting).values()) and all(choices(posting, 2).values())


def test_the_address_still_answers_once_the_person_is_erased(posting: World, office: PostOffice, shop: Shop) -> None:
    address = office.take()[0].off
    assert address
    posting.command("erase", "--email", "alice@example.org")
    assert post(posting, address).status_code == 200


def test_only_what_can_be_turned_off_can_be_chosen(posting: World) -> None:
    number = int(add_owner(posting.context, "owner@shop.example", "a long password")["id"].removeprefix("own_"))
    choose_mails(posting.context, OWNER, number, {"weekly_digest": False})
    with posting.context.database.reading() as connection:
        assert read_choices(connection, OWNER, number) == {"weekly_digest": False}
    for wrong in ({"sign_in": False}, {"ready": False}, {"payout_failed": False}):
        with pytest.raises(Exception, match="not right"):
            choose_mails(posting.context, OWNER, number, wrong)
    with pytest.raises(Exception, match="nobody"):
        choose_mails(posting.context, OWNER, 99, {"weekly_digest": False})
