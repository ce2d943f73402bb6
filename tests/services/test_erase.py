"""Erasing a buyer: nothing that says who it was is left anywhere, and the books do not move."""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from plugin import compression
from plugin.errors import BadRequest, BadSignature, NotFound
from plugin.models import delivery, idempotency, metadata, note, owner, payout_way, person, session, sharer, ticket
from plugin.services import tickets
from plugin.services.add_shop import find_shop
from plugin.services.context import Context
from plugin.services.erase_person import erase_person
from plugin.services.process_inbox import SEALED_FOR, unseal
from plugin.services.replay_deliveries import replay
from plugin.services.sessions import find_guest, open_session
from tests.world import Shop, World

EMAIL, NAME, PHONE, STREET = "Berta.Brandt@Buyers.example", "Berta Brandt", "+41 79 123 45 67", "12 Lakeside Road"
NEEDLES = (EMAIL, NAME, PHONE, STREET)
SEALED = ("shop.secrets", "shop.credentials", "endpoint.secrets", "idempotency.answer", "payout.way")
KEPT_BESIDE = (note, payout_way, session)
BUYER = {"id": "c-77", "email": EMAIL, "name": NAME, "phone": PHONE, "address": {"street": STREET}}
OTHER = {"id": "c-1", "email": "bob@buyers.example", "name": "Bob Other"}


class Story:
    """A shop in which a buyer bought several times, is a sharer too, and is spoken of in other deliveries."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.shop = world.shop()
        self.shop.plan()
        self.alice = self.shop.sharer(codes=["ALICE"])
        self.berta = world.call(
            "POST",
            "/sharers",
            {"shop": self.shop.key, "email": EMAIL, "name": NAME, "locale": "en", "codes": ["BERTA"]},
            expect=201,
            Idempotency_Key="enrol",
        )
        for order in self.orders():
            self.shop.deliver(order)
        self.post({"type": "customer", "note": f"call {NAME}", "mail": EMAIL.replace("@", "\\u0040")})
        self.post({"type": "customer", "link": f"https://x.example/?mail={EMAIL.replace('@', '%40').lower()}&n={NAME}"})
        world.work()

    def orders(self) -> list[dict[str, Any]]:
        """Return the buyer's orders, and one of somebody else."""
        order = self.shop.order
        first = order("b1", customer=BUYER, codes=["ALICE"])
        refund = {"id": "r1", "amount": "40.00", "lines": [{"line_id": "l1", "quantity": 1, "amount": "40.00"}]}
        return [
            first,
            first,  # under another delivery id
            first | {"updated_at": "2026-11-02T10:00:00Z", "refunds": [refund], "shipping_to": STREET},
            order("b2", customer={"id": "c-77", "name": NAME, "phone": PHONE}, codes=["ALICE"]),  # no e-mail
            order("b3", customer={"email": "berta.brandt@BUYERS.example"}),
            order("b4", customer={"email": " berta.brandt+shop@buyers.EXAMPLE", "name": NAME}, codes=["ALICE"]),
            order("o1", customer=OTHER, codes=["ALICE"]),
        ]

    def post(self, body: dict[str, Any]) -> None:
        """Bring something to the door that nobody understands."""
        raw = json.dumps(body).replace("\\\\u0040", "\\u0040").encode()
        assert self.shop.post(raw, self.shop.signed(raw)).status_code == 200


@pytest.fixture
def story(world: World) -> Story:
    """Give the shop of that story."""
    return Story(world)


# --- looking everywhere ---------------------------------------------------------------------------------------------


def readings(context: Context, value: object) -> list[str]:
    """Return everything a stored value may be read as: plain, decompressed, unsealed."""
    if not isinstance(value, bytes | memoryview):
        return [str(value)]
    data = bytes(value)
    found = [data]
    with suppress(BadSignature, ValueError):
        found += [part if isinstance(part, bytes) else part.encode() for part in unseal(context, data)]
    for purpose in (SEALED_FOR, *SEALED):
        with suppress(BadSignature):
            found.append(context.keys.open(purpose, data))
    with suppress(ValueError):
        found.append(compression.unpack(data))
    return [one.decode("utf-8", "replace") for one in found]


def hits_in_tables(context: Context) -> list[str]:
    """Return where in the database the buyer is still named."""
    found = []
    with context.database.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                for column, value in row.items():
                    texts = " ".join(readings(context, value)).lower()
                    found += [f"{table.name}.{column}: {needle}" for needle in NEEDLES if needle.lower() in texts]
    return found


def hits_in_files(folder: Path) -> list[str]:
    """Return which files below a folder name the buyer in plain."""
    contents = {path: path.read_bytes().lower() for path in folder.rglob("*") if path.is_file()}
    assert contents
    needles = [needle.lower().encode() for needle in NEEDLES]
    return [f"{path}: {needle!r}" for path, data in contents.items() for needle in needles if needle in data]


def erased(context: Context) -> set[str]:
    """Return the delivery ids whose bodies are gone."""
    with context.database.reading() as connection:
        wanted = select(delivery.c.delivery_id).where(delivery.c.body.is_(None))
        return set(connection.execute(wanted).scalars())


# --- erasing --------------------------------------------------------------------------------------------------------


def test_nothing_names_the_buyer_any_more_and_the_books_do_not_move(
    story: Story, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = story.world.context
    caplog.set_level(logging.DEBUG)
    assert {hit.partition(":")[0] for hit in hits_in_tables(context)} >= {
        "pa_delivery.body",
        "pa_person.email",
        "pa_person.name",
    }, "the look sees nothing where it must"
    before = [story.shop.see(ref) for ref in ("b1", "b2", "b4", "o1")], story.shop.balance(story.alice)

    said = erase_person(context, email=" berta.brandt@buyers.example ")

    assert said == {"erased_bodies": 8, "persons": 1}
    assert hits_in_tables(context) == []
    assert hits_in_files(tmp_path) == []
    assert not any(needle.lower() in caplog.text.lower() for needle in NEEDLES)
    assert replay(context) == {"replayed": 9, "changed": 0}
    assert before == ([story.shop.see(ref) for ref in ("b1", "b2", "b4", "o1")], story.shop.balance(story.alice))
    story.world.books()


def test_the_sealed_bytes_are_overwritten_too(world: World, tmp_path: Path) -> None:
    if not world.context.database.is_sqlite:
        pytest.skip("PostgreSQL keeps its pages to itself")
    story = Story(world)
    with world.context.database.reading() as connection:
        sealed = [bytes(body)[5:60] for body in connection.execute(select(delivery.c.body)).scalars()]
    path = tmp_path / "passalong.db"
    stored = path.read_bytes() + Path(f"{path}-wal").read_bytes()
    assert all(one in stored for one in sealed)
    erase_person(story.world.context, email=EMAIL)
    left = b"".join(file.read_bytes() for file in tmp_path.glob("passalong.db*"))
    assert sum(one in left for one in sealed) == 1  # of the other buyer


def test_a_second_time_there_is_nothing_left_to_do(story: Story) -> None:
    erase_person(story.world.context, email=EMAIL)
    assert erase_person(story.world.context, email=EMAIL) == {"erased_bodies": 0, "persons": 0}


def test_others_keep_their_deliveries(story: Story) -> None:
    erase_person(story.world.context, email=EMAIL)
    with story.world.context.database.reading() as connection:
        kept = connection.execute(select(func.count()).where(delivery.c.body.is_not(None))).scalar_one()
        names = connection.execute(select(person.c.name).order_by(person.c.id)).scalars().all()
    assert kept == 1
    assert names == ["alice", None]


def test_an_order_names_its_buyer(story: Story) -> None:
    said = erase_person(story.world.context, order_ref="b2")
    assert said == {"erased_bodies": 8, "persons": 1}
    assert hits_in_tables(story.world.context) == []


def test_a_guest_without_an_e_mail_loses_that_order_alone(world: World) -> None:
    shop = world.shop()
    shop.told(shop.order("g1", customer=None, note=NAME))
    shop.told(shop.order("g2", customer=None, note="somebody else"))
    assert erase_person(world.context, order_ref="g1") == {"erased_bodies": 1, "persons": 0}
    assert hits_in_tables(world.context) == []


def test_the_answers_kept_for_the_enrolment_go_and_others_stay(story: Story) -> None:
    body = {"shop": story.shop.key, "email": "carol@example.org", "name": "Carol"}
    story.world.call("POST", "/sharers", body, expect=201, Idempotency_Key="other")
    erase_person(story.world.context, email=EMAIL)
    with story.world.context.database.reading() as connection:
        assert connection.execute(select(idempotency.c.key)).scalars().all() == ["other"]


def test_what_was_kept_of_a_sharer_beside_the_books_goes_too(story: Story) -> None:
    context, now = story.world.context, story.world.context.now()
    with context.database.writing() as connection:
        theirs = select(person.c.id).where(person.c.name == NAME)
        row = connection.execute(select(sharer).where(sharer.c.person_id.in_(theirs))).one()
        by = connection.execute(
            owner.insert().values(email="o@shop.example", password_hash="-", created_at=now).returning(owner.c.id)
        ).scalar_one()
        said = {"sharer_id": row.id, "owner_id": by, "text": f"{NAME} likes tea", "created_at": now}
        connection.execute(note.insert().values(said))
        way = {"sharer_id": row.id, "kind": "bank", "details": context.keys.seal("payout.way", NAME.encode())}
        connection.execute(payout_way.insert().values(way | {"changed_at": now}))
        tickets.issue(connection, tickets.SIGN_IN, now=now, person_id=row.person_id)
        tickets.issue(connection, tickets.JOIN, now=now, shop_id=row.shop_id, email=EMAIL)
        tickets.issue(connection, tickets.JOIN, now=now, shop_id=row.shop_id, email="carol@example.org")
        token = open_session(context, connection, person_id=row.person_id, agent="a phone")
    assert find_guest(context, token)
    erase_person(context, email=EMAIL)
    assert hits_in_tables(context) == []
    with context.database.reading() as connection:
        counts = [connection.execute(select(func.count()).select_from(one)).scalar_one() for one in KEPT_BESIDE]
        assert counts == [0, 0, 0]
        assert connection.execute(select(ticket.c.email)).scalars().all() == ["carol@example.org"]
    assert find_guest(context, token) is None


def test_what_was_not_yet_processed_is_processed_first(world: World) -> None:
    shop = world.shop()
    shop.plan()
    alice = shop.sharer(codes=["ALICE"])
    shop.deliver(shop.order("b1", customer=BUYER, codes=["ALICE"]))
    assert erase_person(world.context, email=EMAIL) == {"erased_bodies": 1, "persons": 0}
    assert shop.balance(alice)["pending"] == "10.00"


def test_what_was_never_understood_stays_in_quarantine_when_it_is_replayed(story: Story) -> None:
    erase_person(story.world.context, email=EMAIL)
    replay(story.world.context)
    with story.world.context.database.reading() as connection:
        rows = connection.execute(select(delivery.c.reason).where(delivery.c.state == "quarantined")).scalars().all()
    assert rows == ['The type is not "order".'] * 2


# --- one shop of several --------------------------------------------------------------------------------------------


def two_shops(world: World) -> tuple[Shop, Shop]:
    """Return two shops in which the same person bought and is a sharer."""
    shops = world.shop(), world.shop(url="https://other.example.com")
    for shop in shops:
        shop.sharer(NAME, email=EMAIL)
        shop.told(shop.order("same-id", customer=BUYER))
    return shops


def test_within_one_shop_the_other_keeps_everything(world: World) -> None:
    one, _ = two_shops(world)
    shop_id = find_shop(world.context, one.key).id
    assert erase_person(world.context, email=EMAIL, shop_id=shop_id) == {"erased_bodies": 1, "persons": 0}
    assert hits_in_tables(world.context)
    assert erase_person(world.context, email=EMAIL) == {"erased_bodies": 1, "persons": 1}
    assert hits_in_tables(world.context) == []


def test_an_order_id_that_two_shops_have_needs_the_shop(world: World) -> None:
    one, _ = two_shops(world)
    with pytest.raises(BadRequest, match="--shop"):
        erase_person(world.context, order_ref="same-id")
    shop_id = find_shop(world.context, one.key).id
    assert erase_person(world.context, order_ref="same-id", shop_id=shop_id)["erased_bodies"] == 1


def test_an_unknown_order_is_refused_and_an_unknown_address_finds_nothing(world: World) -> None:
    with pytest.raises(NotFound):
        erase_person(world.context, order_ref="nothing")
    assert erase_person(world.context, email="nobody@example.org") == {"erased_bodies": 0, "persons": 0}


def test_woocommerce_deliveries_are_erased_by_what_they_say(world: World) -> None:
    folder = Path(__file__).parents[1] / "shops" / "payloads" / "woocommerce" / "captured"
    secret = (folder / "secret.txt").read_text().strip()
    shop = world.shop("woocommerce", secret=secret)
    names = sorted(path.name.removesuffix(".body.json") for path in folder.glob("*.body.json"))
    for name in names:
        captured = json.loads((folder / f"{name}.headers.json").read_text())["headers"]
        headers = {key: value for key, value in captured if key not in ("Host", "Content-Length")}
        shop.post((folder / f"{name}.body.json").read_bytes(), headers)
    world.work()
    with world.context.database.reading() as connection:
        bodies = [unseal(world.context, row)[1] for row in connection.execute(select(delivery.c.body)).scalars()]
    emails = {json.loads(body).get("billing", {}).get("email") for body in bodies if body[:1] == b"{"} - {None, ""}
    assert emails, bodies[:1]
    for email in emails:
        erase_person(world.context, email=email)
    with world.context.database.reading() as connection:
        left = [body for body in connection.execute(select(delivery.c.body)).scalars() if body is not None]
    texts = [unseal(world.context, body)[1].decode().lower() for body in left]
    assert not [text for text in texts for email in emails if email.lower() in text]
    assert replay(world.context)["changed"] == 0
