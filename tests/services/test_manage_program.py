"""A program is kept in parts: what was said stays, what is wrong is named by its field and changes nothing."""

from typing import Any

import pytest

from plugin.errors import BadRequest
from plugin.services.context import Context
from plugin.services.manage_program import Program, change_program, show_program
from tests.world import World


def number_of(world: World, key: str) -> int:
    """Return our number of a shop."""
    with world.context.database.reading() as connection:
        found: int = connection.exec_driver_sql(f"SELECT id FROM pa_shop WHERE key = '{key}'").scalar_one()
        return found


def shown(context: Context, shop_id: int) -> Program:
    """Return the program of a shop."""
    with context.database.reading() as connection:
        return show_program(connection, shop_id)


def test_what_was_never_said_has_its_default(world: World) -> None:
    assert shown(world.context, number_of(world, world.shop().key)) == Program()


def test_a_change_keeps_every_other_part_and_every_other_shop(world: World) -> None:
    shop, other = number_of(world, world.shop().key), number_of(world, world.shop().key)
    change_program(world.context, shop, {"join_mode": "open", "mails_off": ("ready",)})
    changed = change_program(world.context, shop, {"brand_color": "#112233", "payout_habit": "later"})
    assert changed == shown(world.context, shop)
    assert changed == Program(join_mode="open", mails_off=("ready",), brand_color="#112233", payout_habit="later")
    assert shown(world.context, other) == Program()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guide_dismissed", "yes"),
        ("join_mode", "everyone"),
        ("brand_color", "red"),
        ("brand_color", "#12345g"),
        ("brand_color", "#112233;}"),
        ("logo_url", "http://shop.example.com/logo.png"),
        ("logo_url", "javascript:alert(1)"),
        ("logo_url", 'https://shop.example.com/"onerror=x'),
        ("logo_url", "https://me:pw@shop.example.com/logo.png"),
        ("logo_url", "https://[bad/logo.png"),
        ("language", "fr"),
        ("mails_off", ("sign_in",)),
        ("payout_habit", "weekly"),
        ("payout_day", 29),
        ("payout_day", True),
    ],
)
def test_a_wrong_part_is_named_and_nothing_changes(world: World, name: str, value: Any) -> None:
    shop = number_of(world, world.shop().key)
    with pytest.raises(BadRequest) as wrong:
        change_program(world.context, shop, {"reward_shown": False, name: value})
    assert list(wrong.value.fields) == [name]
    assert shown(world.context, shop) == Program()
