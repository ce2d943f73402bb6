"""Each mail by what really causes it, in every language; and all those that are not sent."""

from typing import Any

import pytest
from sqlalchemy import event, select, update

from plugin.domain.moment import SECOND
from plugin.languages import LANGUAGES
from plugin.models import owner, sharer, task
from plugin.services import tickets
from plugin.services.choose_mails import OWNER, PERSON, choose_mails
from plugin.services.manage_access import add_owner
from plugin.services.manage_program import change_program
from plugin.services.public_id import SHARER, read
from plugin.services.want_mail import INVITATION, SIGN_IN, TEAM_INVITATION, want_ticket_mail
from tests.mails.post_office import Arrived, PostOffice
from tests.world import Clock, Shop, World

DAY = 86_400
LOCALES = {"en": "en-GB", "zh-Hant": "zh-TW", "zh-Hans": "zh-CN", "ja": "ja"}
SUBJECTS = {
    "first_commission": {
        "en": "Your first commission: $10.00",
        "zh-Hant": "您的第一筆佣金：US$10.00",
        "zh-Hans": "您的第一笔佣金：US$10.00",
        "ja": "はじめてのコミッション：US$10.00",
    },
    "ready": {
        "en": "Your commission from 茶之家 is ready",
        "zh-Hant": "茶之家的佣金可以提領了",
        "zh-Hans": "茶之家的佣金可以提现了",
        "ja": "茶之家のコミッションが確定しました",
    },
    "paid": {
        "en": "茶之家 has paid you $10.00",
        "zh-Hant": "茶之家已撥款 US$10.00 給您",
        "zh-Hans": "茶之家已向您打款 US$10.00",
        "ja": "茶之家から US$10.00 をお支払いしました",
    },
    "payout_failed": {
        "en": "The payment of $10.00 did not reach you",
        "zh-Hant": "US$10.00 的撥款未能送達",
        "zh-Hans": "US$10.00 的打款未能到账",
        "ja": "US$10.00 のお支払いが完了しませんでした",
    },
    "weekly_digest": {
        "en": "茶之家 from Nov 23 to Nov 29",
        "zh-Hant": "茶之家：11月23日至11月29日",
        "zh-Hans": "茶之家：11月23日至11月29日",
        "ja": "茶之家：11月23日～11月29日",
    },
    "invitation": {
        "en": "茶之家 invites you to recommend it",
        "zh-Hant": "茶之家邀請您成為分享者",
        "zh-Hans": "茶之家邀请您成为分享者",
        "ja": "茶之家の紹介者へのご招待",
    },
    "sign_in": {
        "en": "Sign in at 茶之家",
        "zh-Hant": "登入茶之家",
        "zh-Hans": "登录茶之家",
        "ja": "茶之家へのログイン",
    },
    "team_invitation": {
        "en": "You are invited to help run 茶之家",
        "zh-Hant": "邀請您一起管理茶之家",
        "zh-Hans": "邀请您一起管理茶之家",
        "ja": "茶之家の運営メンバーへのご招待",
    },
}


@pytest.fixture
def shop(posting: World) -> Shop:
    """Give a shop in Taipei that pays ten percent."""
    shop = posting.shop(name="茶之家", timezone="Asia/Taipei")
    shop.plan()
    posting.work()
    return shop


def sharing(shop: Shop, name: str = "alice", **details: Any) -> str:
    """Enrol a sharer with a code of their own."""
    return shop.sharer(name, codes=[name.upper()], **details)


def bought(shop: Shop, name: str = "alice", **changes: Any) -> str:
    """Have somebody buy by a sharer's code; return the order's id."""
    order = shop.order(codes=[name.upper()], **changes)
    shop.told(order)
    return str(order["id"])


def seen(mail: Arrived, template: str, tag: str, *, off: bool) -> None:
    """Assert that a mail is whole, in its language, and says the same in both its readings."""
    assert mail.subject == SUBJECTS[template][tag]
    assert f'<html lang="{tag}">' in mail.html
    assert not any(mark in mail.text + mail.html for mark in ("%(", "{{", "None"))
    assert (mail.off is not None) == off
    for said in mail.page.said:
        assert said in mail.text, said
    for link in mail.page.links:
        assert link in mail.text
    assert (mail.off in mail.page.links) == off
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert str(mail.message["From"]) == "Passalong <no-reply@[127.0.0.1]>"


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_sharer_hears_of_the_first_commission_of_its_release_and_of_the_payment(
    posting: World, office: PostOffice, shop: Shop, clock: Clock, tag: str
) -> None:
    alice = sharing(shop, locale=LOCALES[tag])
    bought(shop)
    first = office.only()
    seen(first, "first_commission", tag, off=True)
    assert first.to == "alice@example.org"
    assert "alice" in first.text
    posting.release()
    posting.work()
    ready = office.only()
    seen(ready, "ready", tag, off=True)
    assert f"http://127.0.0.1:8000/me/{shop.key}/earnings" in ready.page.links
    payout = shop.step(shop.draft(), "approve")
    payout = shop.step(payout, "submit")
    (item,) = payout["items"]
    shop.mark(payout, item, reference="bank 7")
    posting.work()
    paid = office.only()
    seen(paid, "paid", tag, off=True)
    assert "bank 7" in paid.text
    shop.mark(payout, item, "returned", reason="account closed")
    posting.work()
    failed = office.only()
    seen(failed, "payout_failed", tag, off=False)
    assert "account closed" in failed.text
    assert shop.balance(alice)["payable"] == "10.00"


def test_a_payment_that_failed_is_told_once(posting: World, office: PostOffice, shop: Shop) -> None:
    sharing(shop)
    bought(shop)
    posting.release()
    posting.work()
    office.take()
    payout = shop.step(shop.draft(), "approve")
    payout = shop.step(payout, "submit")
    shop.mark(payout, payout["items"][0], "failed", reason="no such account")
    shop.mark(payout, payout["items"][0], "failed", expect=409)
    posting.work()
    seen(office.only(), "payout_failed", "en", off=False)


def test_the_day_it_becomes_ready_is_that_of_the_shops_zone(posting: World, office: PostOffice, shop: Shop) -> None:
    shop.plan({"commission": {"default": {"percent": "10"}}, "hold_days": 14})
    sharing(shop, locale="en")
    bought(shop, paid_at="2026-11-20T20:00:00Z", placed_at="2026-11-20T20:00:00Z", updated_at="2026-11-20T20:00:00Z")
    assert "Ready on: December 5, 2026" in office.only().text


@pytest.mark.parametrize("tag", LANGUAGES)
def test_on_monday_morning_those_who_run_the_shop_hear_how_the_week_was(
    posting: World, office: PostOffice, shop: Shop, clock: Clock, tag: str
) -> None:
    number = member(posting, "owner@shop.example", locale=LOCALES[tag])
    assert number
    clock.set("2026-11-24T02:00:00Z")
    sharing(shop)
    sharing(shop, "bob", status="pending")
    bought(shop, placed_at=clock.iso(), paid_at=clock.iso(), updated_at=clock.iso())
    posting.work()
    office.take()
    clock.set("2026-11-29T23:59:59Z")
    posting.work()
    assert office.take() == []
    clock.set("2026-11-30T00:00:00Z")  # eight in the morning in Taipei
    posting.work()
    digest = office.only()
    seen(digest, "weekly_digest", tag, off=True)
    assert digest.to == "owner@shop.example"
    amount = "US$" if tag != "en" else "$"
    assert f": {amount}100.00\n" in digest.text
    assert f": {amount}10.00\n" in digest.text
    posting.work()
    clock.set("2026-12-06T23:00:00Z")
    posting.work()
    assert office.take() == []


@pytest.mark.parametrize("tag", LANGUAGES)
def test_an_address_that_works_once_is_made_when_it_is_sent(
    posting: World, office: PostOffice, shop: Shop, tag: str
) -> None:
    context, now = posting.context, posting.context.now()
    alice = sharing(shop, locale=LOCALES[tag])
    add_owner(context, "helper@shop.example", "a long password")
    with context.database.writing() as connection:
        mine = select(sharer.c.person_id).where(sharer.c.id == read(SHARER, alice))
        person_id = connection.execute(mine).scalar_one()
        owner_id = connection.execute(select(owner.c.id)).scalar_one()
        shop_id = connection.execute(select(sharer.c.shop_id)).scalar_one()
        connection.execute(update(owner).values(locale=LOCALES[tag]))
        for template, purpose, whom in (
            (SIGN_IN, tickets.SIGN_IN, {"person_id": person_id}),
            (INVITATION, tickets.JOIN, {"email": "new@example.net"}),
            (TEAM_INVITATION, tickets.TEAM, {"owner_id": owner_id}),
        ):
            number = tickets.issue(connection, purpose, now=now, shop_id=shop_id, **whom)
            want_ticket_mail(connection, shop_id, template, number, now=now, language=tag)
        rows = connection.execute(select(task.c.body, task.c.ref).where(task.c.kind == "mail")).all()
    assert not any("@" in row.body + row.ref for row in rows)
    posting.work()
    signing, invitation, team = office.take()
    assert [mail.to for mail in (signing, invitation, team)] == [
        "alice@example.org",
        "new@example.net",
        "helper@shop.example",
    ]
    for mail, template, purpose in (
        (signing, "sign_in", tickets.SIGN_IN),
        (invitation, "invitation", tickets.JOIN),
        (team, "team_invitation", tickets.TEAM),
    ):
        seen(mail, template, tag, off=False)
        (address,) = mail.page.links
        assert address.startswith("http://127.0.0.1:8000/")
        assert tickets.look(context, purpose, address.rpartition("/")[2]).purpose == purpose


# --- what is not sent -------------------------------------------------------------------------------------------------


def test_the_first_commission_is_told_once_whatever_comes_after_it(
    posting: World, office: PostOffice, shop: Shop
) -> None:
    sharing(shop)
    ref = bought(shop)
    assert len(office.take()) == 1
    bought(shop)
    bought(shop, currency="EUR")
    posting.command("replay", "--all")
    posting.work()
    shop.told(shop.order(ref, codes=["ALICE"], updated_at="2026-11-02T10:00:00Z"))
    assert office.take() == []


def test_a_commission_that_is_gone_again_is_not_told(posting: World, office: PostOffice, shop: Shop) -> None:
    sharing(shop)
    order = shop.order("o1", codes=["ALICE"])
    office.at_rcpt.append("451 4.7.1 try again")
    shop.told(order)
    shop.told(order | {"status": "cancelled", "updated_at": "2026-11-02T10:00:00Z"})
    posting.context.now.add(600)  # type: ignore[attr-defined]
    posting.work()
    assert office.take() == []
    assert states(posting) == [("first_commission", "done", None)]


def test_releases_of_one_day_are_one_mail(posting: World, office: PostOffice, shop: Shop, clock: Clock) -> None:
    sharing(shop)
    for _ in range(3):
        bought(shop)
    office.take()
    posting.release()
    posting.work()
    assert "$30.00" in office.only().text
    clock.add(3_600)
    bought(shop)
    posting.release()
    posting.work()
    assert office.take() == []
    clock.add(DAY - 3_600 - 1)
    posting.work()
    assert office.take() == []
    clock.add(1)
    posting.work()
    assert "$40.00" in office.only().text
    clock.add(3 * DAY)
    posting.work()
    assert office.take() == []


def test_a_sandbox_tells_nobody(posting: World, office: PostOffice, clock: Clock) -> None:
    shop = posting.shop(live=False)
    shop.plan()
    member(posting, "owner@shop.example")
    sharing(shop)
    bought(shop)
    posting.release()
    posting.work()
    shop.pay()
    clock.add(8 * DAY)
    posting.work()
    assert office.take() == []


def test_who_is_suspended_hears_nothing(posting: World, office: PostOffice, shop: Shop) -> None:
    alice = sharing(shop)
    office.at_rcpt.append("451 later")
    bought(shop)
    posting.call("PATCH", f"/sharers/{alice}", {"status": "suspended"}, expect=200)
    posting.context.now.add(600)  # type: ignore[attr-defined]
    posting.release()
    posting.work()
    assert office.take() == []
    assert {state for _, state, _ in states(posting)} == {"done"}


def test_who_was_erased_hears_nothing(posting: World, office: PostOffice, shop: Shop) -> None:
    sharing(shop)
    office.at_rcpt.append("451 later")
    bought(shop)
    posting.command("erase", "--email", "alice@example.org")
    posting.context.now.add(600)  # type: ignore[attr-defined]
    posting.release()
    posting.work()
    assert office.take() == []
    assert {state for _, state, _ in states(posting)} == {"done"}


def test_what_somebody_turned_off_stays_off_and_the_rest_goes_on(
    posting: World, office: PostOffice, shop: Shop, clock: Clock
) -> None:
    sharing(shop)
    number = member(posting, "owner@shop.example")
    choose_mails(posting.context, PERSON, 1, {"first_commission": False, "paid": False})
    choose_mails(posting.context, OWNER, number, {"weekly_digest": False})
    bought(shop)
    posting.release()
    posting.work()
    assert office.only().subject == "Your commission from 茶之家 is ready"
    shop.pay()
    clock.add(8 * DAY)
    posting.work()
    assert office.take() == []


def test_what_the_shop_does_without_is_not_sent_and_its_language_is_spoken(
    posting: World, office: PostOffice, shop: Shop
) -> None:
    change_program(posting.context, 1, {"mails_off": ("first_commission",), "language": "ja"})
    sharing(shop)
    bought(shop)
    assert office.take() == []
    posting.release()
    posting.work()
    seen(office.only(), "ready", "ja", off=True)


def test_only_those_who_run_this_shop_get_its_digest(
    posting: World, office: PostOffice, shop: Shop, clock: Clock
) -> None:
    other = posting.shop(url="https://other.example.com", name="Other", timezone="America/New_York")
    posting.work()
    with posting.context.database.reading() as connection:
        from plugin.models import shop as shops

        mine, theirs = connection.execute(select(shops.c.id).order_by(shops.c.id)).scalars()
    member(posting, "all@shop.example")
    member(posting, "manager@shop.example", role="manager", shop_id=mine)
    member(posting, "payer@shop.example", role="payer", shop_id=mine)
    member(posting, "other@shop.example", role="manager", shop_id=theirs)
    member(posting, "gone@shop.example", ended_at=1)
    clock.set("2026-11-24T02:00:00Z")
    sharing(shop)
    other.sharer("bob")
    clock.set("2026-11-30T05:00:00Z")  # Monday in Taipei, still Sunday in New York
    posting.work()
    assert [mail.to for mail in office.take()] == ["all@shop.example", "manager@shop.example"]
    clock.set("2026-11-30T13:00:00Z")
    posting.work()
    assert [mail.to for mail in office.take()] == ["all@shop.example", "other@shop.example"]


def test_a_week_in_which_nothing_happened_is_not_told(
    posting: World, office: PostOffice, shop: Shop, clock: Clock
) -> None:
    member(posting, "owner@shop.example")
    clock.add(30 * DAY)
    posting.work()
    assert office.take() == []


def test_an_address_that_is_used_or_too_old_is_not_sent(posting: World, office: PostOffice, shop: Shop) -> None:
    context, now = posting.context, posting.context.now()
    with context.database.writing() as connection:
        shop_id = connection.execute(select(task.c.shop_id).limit(1)).scalar_one()
        used, old = (
            tickets.issue(connection, tickets.JOIN, now=at, shop_id=shop_id, email="new@example.net")
            for at in (now, now - 31 * DAY * SECOND)
        )
        tickets.use(context, connection, tickets.JOIN, tickets.show(context, connection, used))
        for number in (used, old, 999):
            want_ticket_mail(connection, shop_id, INVITATION, number, now=now)
    posting.work()
    assert office.take() == []
    assert {state for _, state, _ in states(posting)} == {"done"}


def test_the_language_is_the_shops_where_nothing_is_known_of_the_reader(posting: World, office: PostOffice) -> None:
    shop = posting.shop(name="茶之家", currency="TWD", timezone="Asia/Taipei")
    shop.plan()
    sharing(shop)
    bought(shop, currency="TWD")
    assert office.only().subject == "您的第一筆佣金：NT$10"


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_booking_orders_writes_one_statement_of_mails_and_only_for_sharers_who_never_earned(
    posting: World, shop: Shop
) -> None:
    for name in ("alice", "bob"):
        sharing(shop, name)
    statements: list[str] = []

    def hear(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if "INSERT INTO pa_task" in statement:
            statements.append(statement)

    engine = posting.context.database.engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        for name in ("alice", "bob"):
            shop.deliver(shop.order(codes=[name.upper()]))
        posting.work()
        assert len(statements) == 1
        bought(shop)
        bought(shop, "bob")
        assert len(statements) == 1
    finally:
        event.remove(engine, "before_cursor_execute", hear)


# --- looking ----------------------------------------------------------------------------------------------------------


def member(world: World, email: str, **values: Any) -> int:
    """Add one of those who run the shop, and return their number."""
    made = add_owner(world.context, email, "a long password")
    number = int(made["id"].removeprefix("own_"))
    if values:
        with world.context.database.writing() as connection:
            connection.execute(update(owner).where(owner.c.id == number).values(values))
    return number


def states(world: World) -> list[tuple[str, str, str | None]]:
    """Return what became of the mails: of which template, in which state, and why."""
    with world.context.database.reading() as connection:
        rows = connection.execute(
            select(task.c.ref, task.c.state, task.c.reason).where(task.c.kind == "mail").order_by(task.c.id)
        ).all()
    return [(row.ref.partition(":")[0], row.state, row.reason) for row in rows]


