"""The set-up guide: reward and payout in a form each, as few questions as there can be; and putting the guide away."""

from collections.abc import Mapping
from typing import Any

from flask import render_template, request

from admin_ui.owner import MANAGE, Desk, page, show_form
from admin_ui.page import Answer, go, is_part, said
from plugin.domain.money import DIGITS, parse_rate
from plugin.errors import BadRequest, Malformed
from plugin.languages import mark
from plugin.services.change_plan import Reward, change_minimum, change_reward, show_reward, split_order
from plugin.services.manage_program import LATER, MONTHLY, PAYOUT_DAY_MAX, change_program, show_program
from plugin.services.put_plan import current_plan
from plugin.services.show_home import average_order

_KEPT = said("reward-kept", mark("The reward is in force from now on."))
_HABIT = said("payout-kept", mark("The payout way is kept."))
_AWAY = said("guide-away", mark("The guide is put away."))
_BACK = said("guide-back", mark("The guide is back."))
_NO_RATE = mark("Write a number from 0 to 100.")
_NO_DAYS = mark("Write whole days, from 0 to 365.")
_NO_AMOUNT = mark("Write an amount such as 20.")
_NO_DAY = mark("Write a day from 1 to 28.")
_SHARED_TOO_MUCH = mark("Together that is more than the whole order.")
HOLD_DAYS = ("0", "7", "14", "30", "60", "90")
_DAYS_MAX = 365
_FIELDS = {"commission.default.percent": "percent", "buyer.cashback_percent": "cashback", "hold_days": "hold_days"}


@page("/<shop>/guide", methods=["POST"], needs=MANAGE)
def put_guide_away(desk: Desk) -> Answer:
    """Put the guide away, or fetch it back."""
    away = request.form.get("away") == "yes"
    change_program(desk.context, desk.shop_id, {"guide_dismissed": away})
    return go("owner.shop_home", shop=desk.shop_key, code=_AWAY if away else _BACK)


# --- the reward -----------------------------------------------------------------------------------------------------


@page("/<shop>/reward", methods=["GET", "POST"], needs=MANAGE)
def reward(desk: Desk) -> Answer:
    """How much sharers earn, what their friends get back, and how long it may be taken back."""
    errors: Mapping[str, Any] = {}
    now = show_reward(desk.context, desk.shop_id)
    if request.method == "POST":
        asked, errors = _read_reward(now)
        if not errors:
            try:
                change_reward(desk.context, desk.shop_id, **asked, actor=desk.actor)
            except BadRequest as error:
                errors = {_FIELDS.get(name, "percent"): said for name, said in error.fields.items()}
            else:
                return go("owner.payout_habit", shop=desk.shop_key, code=_KEPT)
    return show_form("owner/reward.html", errors, reward=now, hold_days=HOLD_DAYS, example=_example(desk, now))


@page("/<shop>/reward/example", needs=MANAGE)
def reward_example(desk: Desk) -> Answer:
    """The sentence and the example alone, for the form while it is filled in."""
    if not is_part():
        return go("owner.reward", shop=desk.shop_key)
    now = show_reward(desk.context, desk.shop_id)
    return render_template("owner/reward_example.html", example=_example(desk, now), desk=desk)


def _read_reward(now: Reward) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Read the form; return what is asked and what is wrong with it."""
    asked: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    written = _written(now)
    for name in ("percent", "cashback"):
        try:
            parse_rate(written[name])
            asked[name] = written[name]
        except Malformed:
            errors[name] = [_NO_RATE]
    days = written["hold_days"]
    if days.isascii() and days.isdigit() and int(days[:5]) <= _DAYS_MAX:
        asked["hold_days"] = int(days)
    else:
        errors["hold_days"] = [_NO_DAYS]
    if not errors and parse_rate(asked["percent"]) + parse_rate(asked["cashback"]) > parse_rate("100"):
        errors["cashback"] = [_SHARED_TOO_MUCH]
    return asked, errors


def _written(now: Reward) -> dict[str, str]:
    """Return what stands in the form: what was written, else what is in force."""
    values = request.values
    return {
        "percent": _number(values.get("percent", now.percent or "10")),
        "cashback": _number(values.get("cashback", now.cashback)),
        "hold_days": values.get("hold_days", str(now.hold_days)).strip(),
    }


def _number(text: str) -> str:
    """Return a number as plans write it: people add a sign, or write a comma where others have a point."""
    return text.strip().removesuffix("%").removesuffix("％").strip().replace(",", ".") or "0"


def _example(desk: Desk, now: Reward) -> Mapping[str, Any] | None:
    """Return what the form, as it stands, would make of an order; None while it cannot be read."""
    asked, errors = _read_reward(now)
    if errors:
        return None
    row = desk.row
    average = average_order(desk.context, row)
    order = average or 100 * 10 ** DIGITS[row.currency]
    share = split_order(order, row.currency, percent=asked["percent"], cashback=asked["cashback"])
    has_cashback = parse_rate(asked["cashback"]) > 0
    return asked | {"share": share, "is_average": average is not None, "has_cashback": has_cashback}


# --- paying out -----------------------------------------------------------------------------------------------------


@page("/<shop>/payout-habit", methods=["GET", "POST"], needs=MANAGE)
def payout_habit(desk: Desk) -> Answer:
    """When and from what amount on sharers are paid, or that this can wait."""
    errors: dict[str, list[str]] = {}
    row = desk.row
    if request.method == "POST":
        if request.form.get("habit") == LATER:
            change_program(desk.context, row.id, {"payout_habit": LATER})
            return go("owner.invite", shop=row.key, code=_HABIT)
        errors = _keep_habit(desk)
        if not errors:
            return go("owner.invite", shop=row.key, code=_HABIT)
    with desk.context.database.reading() as connection:
        program = show_program(connection, row.id)
    minimum = current_plan(desk.context, row.id)["payout"]["minimum"].get(row.currency, "0")
    return show_form(
        "owner/payout_habit.html", errors, program=program, minimum=minimum, day_max=PAYOUT_DAY_MAX, monthly=MONTHLY
    )


def _keep_habit(desk: Desk) -> dict[str, list[str]]:
    """Keep day and minimum; return what is wrong with them, for then neither is kept."""
    form, row = request.form, desk.row
    day = form.get("day", "").strip()
    if not (day.isascii() and day.isdigit() and 1 <= int(day[:3]) <= PAYOUT_DAY_MAX):
        return {"day": [_NO_DAY]}
    try:
        change_minimum(
            desk.context,
            row.id,
            currency=row.currency,
            minimum=form.get("minimum", "").strip() or "0",
            actor=desk.actor,
        )
    except BadRequest:
        return {"minimum": [_NO_AMOUNT]}
    change_program(desk.context, row.id, {"payout_habit": MONTHLY, "payout_day": int(day)})
    return {}
