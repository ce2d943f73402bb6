"""Whether the keys are those the database was written with. With others nothing stored can be read or proven."""

from sqlalchemy import select

from plugin.models import head
from plugin.services.context import Context
from plugin.services.digest import PURPOSE, head_seal


def keys_fit(context: Context) -> bool:
    """Hold the pepper against the seal of one shop's books; a database without shops fits any keys."""
    with context.database.reading() as connection:
        row = connection.execute(select(head).order_by(head.c.shop_id).limit(1)).one_or_none()
    if row is None:
        return True
    seal = head_seal(context.keys.mac_key(PURPOSE), row.shop_id, row.position, row.mac)
    return bool(seal == bytes(row.seal))
