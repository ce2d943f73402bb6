"""What is kept of a shop's visitors and buyers, where, for how long and why, and how to say no: open to everybody.

Each sentence is true of the code it is about: plugin/storefront, services/record_clicks.py, services/erase_bodies.py.
"""

from admin_ui import access
from admin_ui.page import Answer, show
from admin_ui.sharer import open_page, shop_at
from plugin.errors import NotFound
from plugin.services.context import Context
from plugin.services.manage_program import show_program


@open_page("/privacy/<shop>")
def privacy(context: Context, shop: str) -> Answer:
    """What a shop's share links keep of people."""
    row = shop_at(shop)
    storefront = access.installation().storefronts.find(row.key)
    if storefront is None:
        raise NotFound("unknown_shop", "There is no shop with this key.")
    with context.database.reading() as connection:
        program = show_program(connection, row.id)
    return show(
        "sharer/privacy.html",
        shop=row,
        program=program,
        window_days=storefront.window_days,
        body_days=context.settings.keep_bodies_days,
    )
