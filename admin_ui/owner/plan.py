"""The plan as forms: what it pays for, an example while it is typed, past orders under it before it is saved, versions.

Every button sends the whole form. Only the one that says so saves; the others show it again with nothing saved.
"""

from dataclasses import dataclass
from typing import Any

from flask import request

from admin_ui import plan_words
from admin_ui.owner import MANAGE, Desk, Menu, page, show_form
from admin_ui.page import Answer, gettext, go, language, said, show
from admin_ui.plan_form import Fields, edit_rules, faults_of, fields_of, moment_of, plan_of, read_fields
from plugin.database import again
from plugin.domain.moment import DAY, parse_moment
from plugin.domain.money import MICROS, Exact, format_minor, round_to_minor, share, step
from plugin.domain.plan import Plan, complete, read_plan
from plugin.errors import BadRequest, Conflict, Malformed
from plugin.languages import formats, mark
from plugin.services.put_plan import current_plan, list_plans, put_plan
from plugin.services.what_if import since_newest, what_if

VERSIONS = 20
REPLAYED_MAX = 5_000
DIFFERING_SHOWN = 50
PERIODS = {"30": mark("The last 30 days"), "90": mark("The last 90 days"), "365": mark("The last 365 days")}
_SAVED = said("plan-saved", mark("Saved. Orders placed from then on are reckoned by it."))


@dataclass(frozen=True, slots=True)
class _OneItem:
    """A sale of one item of some amount."""

    amount: Exact
    items: Exact = 1

    @property
    def base(self) -> Exact:
        return self.amount


@page("/<shop>/plan", menu=Menu(mark("Plan"), "sliders-horizontal", 60))
def plan(desk: Desk) -> Answer:
    """The plan in force, as the fields it is made of."""
    now = current_plan(desk.context, desk.shop_id)
    return _form(desk, fields_of(now, _zone(desk)), version=now["version"])


@page("/<shop>/plan", methods=["POST"], needs=MANAGE)
def change_plan(desk: Desk) -> Answer:
    """Add, move or remove a rule, try the plan on past orders, or save it."""
    fields, button = read_fields(request.form), request.form.get("do", "")
    version = request.form.get("version", "")
    if edit_rules(fields, button):
        return _form(desk, fields, version=version)
    wanted = plan_of(fields, _zone(desk))
    try:
        read_plan(wanted)
    except BadRequest as error:
        return _form(desk, fields, version=version, errors=faults_of(error.fields))
    if button == "save":
        return _save(desk, fields, wanted, version)
    tried = _try(desk, wanted) if button == "what-if" else None
    return _form(desk, fields, version=version, tried=tried)


def _save(desk: Desk, fields: Fields, wanted: dict[str, Any], version: str) -> Answer:
    if version != str(current_plan(desk.context, desk.shop_id)["version"]):
        changed = [mark("Somebody changed the plan meanwhile. Look at its versions before you save yours.")]
        now = current_plan(desk.context, desk.shop_id)["version"]
        return _form(desk, fields, version=now, errors={"plan": changed})
    try:
        text = moment_of(request.form.get("since", "").strip(), _zone(desk))
        since = None if text is None else parse_moment(text)
        again(lambda: put_plan(desk.context, desk.shop_id, wanted, since=since, actor=desk.actor))
    except Malformed:
        return _form(desk, fields, version=version, errors={"since": [mark("Write a day and a time.")]})
    except BadRequest:
        return _form(desk, fields, version=version, errors={"since": [mark("It must not lie in the future.")]})
    except Conflict:
        taken = mark("An order placed since then is already decided, and decisions stay. Take a later time.")
        return _form(desk, fields, version=version, errors={"since": [taken]})
    return go("owner.plan", shop=desk.shop_key, code=_SAVED)


def _try(desk: Desk, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what past orders would have earned; the period ends at most so many orders ago."""
    period = request.form.get("period", "")
    days = int(period) if period in PERIODS else 30
    now = desk.context.now()
    start = since_newest(desk.context, desk.shop_id, since=now - days * DAY, count=REPLAYED_MAX)
    found = what_if(desk.context, desk.shop_id, wanted, since=start, until=now)
    return found | {"is_cut": start > now - days * DAY, "orders": found["orders"][:DIFFERING_SHOWN]}


@page("/<shop>/plan/example", methods=["POST"])
def plan_example(desk: Desk) -> Answer:
    """The example sentence alone, for a form that is being typed."""
    return show("owner/plan_example.html", example=_example(desk, read_fields(request.form)))


@page("/<shop>/plan/versions")
def plan_versions(desk: Desk) -> Answer:
    """Every version there was and what each changed."""
    text = request.args.get("before", "")
    before = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    versions = list_plans(desk.context, desk.shop_id, before=before, limit=VERSIONS)
    return show(
        "owner/plan_versions.html",
        versions=[one | {"differences": plan_words.differences(one["before"], one["plan"])} for one in versions],
        next=versions[-1]["version"] if len(versions) == VERSIONS else None,
    )


def _form(
    desk: Desk, fields: Fields, *, version: Any, errors: Any = None, tried: dict[str, Any] | None = None
) -> Answer:
    return show_form(
        "owner/plan.html",
        errors,
        fields=fields,
        version=version,
        tried=tried,
        example=_example(desk, fields),
        words=plan_words,
        periods=PERIODS,
        may_change=desk.may(MANAGE),
        latest=list_plans(desk.context, desk.shop_id, before=None, limit=1)[0],
    )


def _example(desk: Desk, fields: Fields) -> list[str]:
    """Say in sentences what an order of a round amount would earn; nothing where the plan cannot be read yet."""
    try:
        wanted = plan_of(fields, _zone(desk))
        read = read_plan(wanted)
    except BadRequest:
        return []
    return list(_sentences(read, complete(wanted), _currency(desk)))


def _sentences(read: Plan, wanted: dict[str, Any], currency: str) -> Any:
    units = 1_000 if step(currency) == 100 or round_to_minor(MICROS, currency) == 1 else 100
    sale = _OneItem(units * MICROS)

    def shown(exact: Exact) -> str:
        return formats.amount(
            format_minor(round_to_minor(exact, currency, unit=step(currency)), currency), currency, language()
        )

    cap = read.order_cap.get(currency)
    earned = min(read.default.reckon(sale, currency), sale.amount, cap if cap is not None else sale.amount)
    words = {"sale": shown(sale.amount), "earned": shown(earned), "days": formats.number(read.hold_days, language())}
    if read.default.name == "none" and wanted["commission"]["rules"]:
        yield gettext("An order earns only by the rules; everything else pays nothing.")
    else:
        yield gettext("A friend buys for %(sale)s: the sharer earns %(earned)s.") % words
        base = 0 if read.default.name == "none" else sale.amount
        for rate, text in (
            (read.upline_rate, mark("Whoever invited the sharer earns %(share)s.")),
            (read.cashback_rate, mark("The friend gets %(share)s back, if they share too.")),
        ):
            if rate:
                yield gettext(text) % {"share": shown(share(base, rate))}
    yield gettext("It becomes ready %(days)s days after the payment, less what is refunded until then.") % words


def _zone(desk: Desk) -> str:
    zone: str = desk.shop.timezone if desk.shop else "UTC"
    return zone


def _currency(desk: Desk) -> str:
    currency: str = desk.shop.currency if desk.shop else "USD"
    return currency
