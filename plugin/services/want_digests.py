"""Having those who run a shop told how the week was: on Monday morning in the shop's time zone, once a week."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, or_, select

from plugin.models import owner, shop
from plugin.services.context import Context
from plugin.services.run_tasks import Done, Kind, Task
from plugin.services.want_mail import want_digest_mails
from plugin.services.want_task import want_once

KIND, REF = "weekly", "digest"
HOUR_OF_DAY = 8
ROLES = ("owner", "manager")  # who is told; the others only look, or only pay
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def want_digests(connection: Connection, shop_id: int, *, now: int) -> None:
    """Have a shop's digest wanted every Monday from now on."""
    want_once(connection, shop_id, KIND, REF, {}, now=now)


def _want(context: Context, one: Task) -> Done:
    """Want this Monday's digests, and come again next Monday; the first time only the latter."""
    now = context.now()
    with context.database.reading() as connection:
        row = connection.execute(select(shop).where(shop.c.id == one.shop_id)).one()
    monday = _latest_monday(now, ZoneInfo(row.timezone))
    day, is_first = str(monday.date()), one.result is None

    def write(connection: Connection) -> None:
        if row.live and not is_first:
            mine = or_(owner.c.shop_id.is_(None), owner.c.shop_id == row.id)
            told = select(owner.c.id).where(owner.c.ended_at.is_(None), owner.c.role.in_(ROLES), mine)
            numbers = connection.execute(told.order_by(owner.c.id)).scalars().all()
            want_digest_mails(connection, row.id, numbers, day, now=now)

    return Done({"monday": day}, write, again_at=(monday + timedelta(days=7) - _EPOCH) // _MICROSECOND)


def _latest_monday(now: int, zone: ZoneInfo) -> datetime:
    """Return the latest Monday morning that is not after now; days are counted by the calendar, not in hours."""
    local = (_EPOCH + now * _MICROSECOND).astimezone(zone)
    morning = local.replace(hour=HOUR_OF_DAY, minute=0, second=0, microsecond=0)
    monday = morning - timedelta(days=morning.weekday())
    return monday if monday <= local else monday - timedelta(days=7)


WANT = Kind(_want, is_tireless=True)
