"""Which mails a person, or one of those who run the shop, wants; and the address that turns a kind of them off.

The address is in every mail that can be turned off, works without signing in, and does nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table, select, update

from plugin.domain.stored_json import canonical
from plugin.errors import BadRequest, BadSignature, NotFound
from plugin.languages import mark
from plugin.models import owner, person
from plugin.services.context import Context
from plugin.services.want_mail import FIRST_COMMISSION, PAID, READY, WEEKLY_DIGEST
from plugin.signing import NONCE_BYTES, make_ticket, read_ticket

PERSON, OWNER = "person", "owner"
_NO_NONCE = bytes(NONCE_BYTES)  # numbers of people are never given away again, for nobody is ever deleted
_TABLES: Mapping[str, Table] = {PERSON: person, OWNER: owner}
# What may be turned off. A payment that failed, an invitation and the way in are told in any case.
CHOICES: Mapping[str, tuple[str, ...]] = {PERSON: (FIRST_COMMISSION, READY, PAID), OWNER: (WEEKLY_DIGEST,)}


@dataclass(frozen=True, slots=True)
class Off:
    """What an address turns off: mails of one template to one person or owner."""

    who: str
    number: int
    template: str


def wants(stored: str | None, template: str) -> bool:
    """Tell whether mails of a template are wanted, by what ``mail_choices`` holds; what nobody turned off is."""
    return stored is None or json.loads(stored).get(template, True) is True


def read_choices(connection: Connection, who: str, number: int) -> dict[str, bool]:
    """Return what a person or owner may turn off, and whether it is on."""
    table = _TABLES[who]
    stored = connection.execute(select(table.c.mail_choices).where(table.c.id == number)).scalar_one()
    return {template: wants(stored, template) for template in CHOICES[who]}


def choose_mails(context: Context, who: str, number: int, choices: Mapping[str, bool]) -> None:
    """Turn mails on or off for a person or owner; raise BadRequest for what cannot be chosen."""
    unknown = sorted(set(choices) - set(CHOICES[who]))
    if unknown:
        fields = {name: [mark("No such mails.")] for name in unknown}
        raise BadRequest("invalid", "Some fields are not right.", fields=fields)
    table = _TABLES[who]
    with context.database.writing() as connection:
        mine = select(table.c.mail_choices).where(table.c.id == number).with_for_update()
        row = connection.execute(mine).one_or_none()
        if row is None:
            raise NotFound("not_found", "There is nobody of this number.")
        kept = json.loads(row.mail_choices) if row.mail_choices else {}
        changed = canonical(kept | dict(choices))
        connection.execute(update(table).where(table.c.id == number).values(mail_choices=changed))


def off_address(context: Context, off: Off) -> str:
    """Return the address that turns mails off."""
    token = make_ticket(context.keys, _purpose(off.who, off.template), off.number, _NO_NONCE)
    return f"{context.settings.base_url}/mails/off/{off.who}/{off.template}/{token}"


def read_off(context: Context, who: str, template: str, token: str) -> Off:
    """Return what an address turns off; raise NotFound for one that was not made here."""
    if template in CHOICES.get(who, ()):
        try:
            number, _ = read_ticket(context.keys, _purpose(who, template), token)
            return Off(who, number, template)
        except BadSignature:
            pass
    raise NotFound("not_found", "This address turns nothing off. Use the one in the mail.")


def _purpose(who: str, template: str) -> str:
    return f"mails-off.{who}.{template}"
