"""People at the pages, as their browsers are: a client with cookies that reads the token out of a form and sends it."""

import re
from html import unescape
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Connection, select
from werkzeug.test import TestResponse

from plugin.models import owner
from plugin.models import shop as shops
from plugin.services.sessions import open_session
from tests.world import Shop, World

PASSWORD = "correct horse battery staple"
_HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)  # the work is not what is tested
_TOKEN = re.compile(r'name="_form" value="([^"]+)"')


class Browser:
    """One browser: whoever it is signed in as, it sends forms as a page of ours would."""

    def __init__(self, world: World, *, language: str = "en") -> None:
        self.world = world
        self.client = world.app.test_client()
        self.language = language

    def get(self, path: str, *, expect: int = 200, **headers: str) -> str:
        """Open a page and return its text; assert the status."""
        response = self.client.get(path, headers=self._headers(headers))
        assert response.status_code == expect, (path, response.status_code, response.get_data(as_text=True))
        return response.get_data(as_text=True)

    def post(self, path: str, form: Any = None, *, on: str | None = None, expect: int = 303) -> TestResponse:
        """Send a form with the token of the page ``on`` which it stands; assert the status."""
        token = self.token(on or path)
        return self.send(path, {**(form or {}), "_form": token}, expect=expect)

    def send(self, path: str, form: Any, *, expect: int = 303, **headers: str) -> TestResponse:
        """Send a form just as it is; assert the status."""
        response = self.client.post(path, data=form, headers=self._headers(headers))
        assert response.status_code == expect, (path, response.status_code, response.get_data(as_text=True))
        return response

    def token(self, path: str) -> str:
        """Return the token that the forms of a page carry."""
        found = _TOKEN.search(self.get(path))
        assert found, f"{path} has no form"
        return unescape(found[1])

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Accept-Language": self.language, "User-Agent": "Mozilla/5.0 (test)"} | named


def member(world: World, role: str = "owner", *, shop: Shop | None = None, language: str = "en") -> Browser:
    """Return the browser of a member of the shop with that role, signed in; of one shop alone where one is named."""
    browser = Browser(world, language=language)
    context = world.context
    email = f"{role}-{world.number()}@shop.example"
    with context.database.writing() as connection:
        shop_id = None if shop is None else _shop_id(connection, shop)
        row = {"email": email, "password_hash": _HASHED, "role": role, "shop_id": shop_id, "created_at": context.now()}
        number = connection.execute(owner.insert().values(row).returning(owner.c.id)).scalar_one()
        token = open_session(context, connection, owner_id=number, agent="test")
    browser.client.set_cookie("passalong_owner", token, path="/admin")
    return browser


def _shop_id(connection: Connection, shop: Shop) -> int:
    found: int = connection.execute(select(shops.c.id).where(shops.c.key == shop.key)).scalar_one()
    return found
