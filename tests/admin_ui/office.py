"""A member of the shop at work on its pages: sees them, sends their forms, and is led on to the next."""

import html
import re
from typing import Any

from sqlalchemy import update
from werkzeug.test import TestResponse

from plugin.models import owner
from plugin.services.sessions import find_member
from plugin.services.sign_in import new_factor
from tests.admin_ui.desk import Browser, member
from tests.world import Shop, World


class Office:
    """Where a member with a role works; paths are those below /admin."""

    def __init__(
        self, world: World, role: str = "owner", *, shop: Shop | None = None, second_factor: bool = False
    ) -> None:
        self.browser: Browser = member(world, role, shop=shop)
        self.token = self.browser.token("/admin/account")
        cookie = self.browser.client.get_cookie("passalong_owner", path="/admin")
        found = find_member(world.context, cookie.value) if cookie else None
        assert found is not None
        self.id, self.email = found.id, found.email
        if second_factor:
            sealed = world.context.keys.seal("totp", new_factor().encode())
            with world.context.database.writing() as connection:
                connection.execute(update(owner).where(owner.c.id == self.id).values(totp=sealed))

    def see(self, path: str, *, expect: int = 200) -> str:
        """Open a page and return it."""
        return self.browser.get(f"/admin{path}", expect=expect)

    def send(self, path: str, fields: dict[str, Any] | None = None, *, expect: int = 303) -> TestResponse:
        """Send a form and return the answer."""
        return self.browser.send(f"/admin{path}", {"_form": self.token, **(fields or {})}, expect=expect)

    def follow(self, answer: TestResponse) -> str:
        """Go where an answer leads and return the page there."""
        return self.browser.get(answer.headers["Location"])


def field_of(page: str, name: str) -> str:
    """Return what a field of a page holds."""
    found = re.search(rf'name="{re.escape(name)}"[^>]*? value="([^"]*)"', page)
    assert found, f"there is no field {name}"
    return html.unescape(found[1])


def plain(page: str) -> str:
    """Return what a page says, without its tags."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
