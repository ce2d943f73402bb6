"""Team and tokens: an invitation opens a door once, an end of access is one, and the last owner stays."""

import html
import re

import pytest

from tests.admin_ui.desk import Browser
from tests.admin_ui.office import Office, plain
from tests.world import World

PASSWORD = "a long enough password"


def invite(owner: Office, key: str, email: str, role: str, where: str = "here") -> str:
    """Invite somebody on the page; return the path of the address that is shown."""
    fields = {"email": email, "role": role, "where": where}
    page = owner.send(f"/{key}/team", fields, expect=200).get_data(as_text=True)
    found = re.search(r'<code id="made">http://[^/]+(/admin/join/[^<]+)</code>', page)
    assert found
    return html.unescape(found[1])


def test_an_invitation_is_looked_at_taken_up_once_and_opens_what_its_role_may(world: World) -> None:
    shop, other = world.shop(), world.shop(url="https://other.example.com")
    owner, guest = Office(world), Browser(world)
    path = invite(owner, shop.key, "New@Example.org", "viewer")
    assert path not in owner.see(f"/{shop.key}/team")  # shown once
    for _ in range(2):  # scanners of mails open addresses
        assert "new@example.org" in guest.get(path)
    guest.post(path, {"password": "short"}, expect=422)
    guest.post(path, {"password": PASSWORD})
    guest.get(f"/admin/{shop.key}/plan")
    guest.get(f"/admin/{shop.key}/team", expect=403)
    guest.get(f"/admin/{other.key}/plan", expect=404)
    Browser(world).get(path, expect=404)
    page = owner.see(f"/{shop.key}/team")
    assert "new@example.org" in page
    wrong = owner.send(f"/{shop.key}/team", {"email": "new@example.org", "role": "viewer"}, expect=422)
    assert "Runs the shop with you already." in plain(wrong.get_data(as_text=True))


def test_ending_access_ends_sessions_and_invitations_at_once(world: World) -> None:
    shop = world.shop()
    owner, second = Office(world), Office(world)
    path = invite(second, shop.key, "friend@example.org", "owner", "all")
    owner.send(f"/{shop.key}/team/change", {"member": f"own_{second.id}", "do": "end"})
    assert second.browser.client.get(f"/admin/{shop.key}/plan").status_code == 303
    Browser(world).get(path, expect=404)
    assert second.email not in owner.see(f"/{shop.key}/team")
    guest = Browser(world)
    guest.post(invite(owner, shop.key, second.email, "manager"), {"password": PASSWORD})
    guest.get(f"/admin/{shop.key}/plan")
    guest.get(f"/admin/{shop.key}/team", expect=403)


def test_the_last_owner_can_be_neither_demoted_nor_ended(world: World) -> None:
    shop = world.shop()
    owner, local = Office(world), Office(world, shop=shop)  # an owner of one shop alone is none of all
    path = f"/{shop.key}/team/change"
    for fields in ({"do": "end", "role": "owner"}, {"do": "role", "role": "viewer"}):
        page = owner.send(path, {"member": f"own_{owner.id}", **fields}, expect=422).get_data(as_text=True)
        assert "The last owner stays an owner" in plain(page) and "stands beside them" not in plain(page)
        (invited_as,) = re.findall(r'<select id="role" .*?<option value="(\w+)" selected', page, re.DOTALL)
        assert invited_as == "manager"  # what was chosen for a member is not what the next one is invited as
    owner.send(path, {"member": f"own_{local.id}", "do": "role", "role": "emperor"}, expect=422)
    second = Office(world)
    owner.send(path, {"member": f"own_{owner.id}", "do": "role", "role": "viewer"})
    owner.see(f"/{shop.key}/team", expect=403)
    second.see(f"/{shop.key}/team")


def test_an_owner_of_one_shop_decides_about_that_shop_alone(world: World) -> None:
    shop, other = world.shop(), world.shop(url="https://other.example.com")
    boss, local, foreign = Office(world), Office(world, shop=shop), Office(world, "manager", shop=other)
    page = local.see(f"/{shop.key}/team")
    assert boss.email not in page and foreign.email not in page
    for number in (boss.id, foreign.id):
        local.send(f"/{shop.key}/team/change", {"member": f"own_{number}", "do": "end"}, expect=404)
    guest = Browser(world)
    guest.post(invite(local, shop.key, "x@example.org", "owner", "all"), {"password": PASSWORD})
    guest.get(f"/admin/{shop.key}/team")
    guest.get(f"/admin/{other.key}/team", expect=404)


def test_a_token_is_shown_once_and_revoked_at_once(world: World) -> None:
    shop = world.shop()
    owner = Office(world, shop=shop)
    fields = {"name": "<b>Till</b>", "scope": "write", "where": "all"}
    page = owner.send(f"/{shop.key}/team/token", fields, expect=200).get_data(as_text=True)
    found = re.search(r'<code id="made">(pat_[^<]+)</code>', page)
    assert found and "<b>Till" not in page and found[1] not in owner.see(f"/{shop.key}/team")
    sent = {"Authorization": f"Bearer {found[1]}"}
    assert world.client.get(f"/api/v1/shops/{shop.key}/plan", headers=sent).status_code == 200
    other = world.shop(url="https://other.example.com")
    assert world.client.get(f"/api/v1/shops/{other.key}/plan", headers=sent).status_code == 404
    number = re.findall(r'name="token" value="(tok_\d+)"', owner.see(f"/{shop.key}/team"))
    assert len(number) == 1
    owner.send(f"/{shop.key}/team/token/revoke", {"token": "tok_1"}, expect=404)  # of all shops: not this owner's
    owner.send(f"/{shop.key}/team/token/revoke", {"token": number[0]})
    assert world.client.get(f"/api/v1/shops/{shop.key}/plan", headers=sent).status_code == 401


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("team", {"email": "nobody", "role": "viewer"}),
        ("team", {"email": "a@example.org", "role": "king"}),
        ("team/token", {"name": "", "scope": "read"}),
        ("team/token", {"name": "x" * 101, "scope": "read"}),
        ("team/token", {"name": "till", "scope": "all"}),
    ],
)
def test_what_is_wrong_is_said_at_its_field(world: World, path: str, fields: dict[str, str]) -> None:
    shop = world.shop()
    page = Office(world).send(f"/{shop.key}/{path}", fields, expect=422).get_data(as_text=True)
    assert 'aria-invalid="true"' in page


def test_doors_open_only_to_an_owner_who_signed_in_just_now(world: World) -> None:
    shop = world.shop()
    owner = Office(world)
    clock = world.stop_clock("2026-11-22T10:00:00Z")
    clock.at = world.context.now() + 365 * 86_400 * 1_000_000
    late = Office(world)
    clock.add(16 * 60)
    for path in ("team", "team/change", "team/token", "team/token/revoke"):
        answer = late.send(f"/{shop.key}/{path}", {"email": "a@example.org", "role": "owner"})
        assert "/admin/again" in answer.headers["Location"]
    for role in ("manager", "payer", "viewer"):
        Office(world, role).send(f"/{shop.key}/team", {"email": "a@example.org", "role": "owner"}, expect=403)
    del owner
