"""Me: name, language and mails, how one is paid, all that is stored as a file, signing out everywhere, leaving."""

from flask import Response, request
from sqlalchemy import select

from admin_ui import access
from admin_ui.page import LANGUAGE_COOKIE, Answer, go, said, show_form
from admin_ui.sharer import Seat, page
from admin_ui.sharer.home import balances_of
from plugin.errors import BadRequest, NotAllowed
from plugin.languages import mark
from plugin.models import person
from plugin.services import keep_payout_way as ways
from plugin.services.change_person import change_person
from plugin.services.choose_mails import CHOICES, PERSON, choose_mails, read_choices
from plugin.services.export_person import export_person
from plugin.services.let_in import leave as leave_shop
from plugin.services.sessions import end_sessions

_KEPT = said("kept", mark("Saved."))
_ENDED = said("ended", mark("Every other device was signed out."))
_PAID_SO = said("paid-so", mark("Saved. You get a mail that says that it was changed."))
_LEFT = said("left", mark("You have left. What you earned stays yours."))
MAILS = {
    "first_commission": mark("When I earn for the first time"),
    "ready": mark("When commission becomes ready"),
    "paid": mark("When I am paid"),
}
KINDS = {
    ways.BANK: mark("Bank account"),
    ways.PAYPAL: mark("PayPal"),
    ways.OTHER: mark("Another way"),
}


@page("/profile")
def profile(seat: Seat) -> Answer:
    """What a person can see and change of their own."""
    return show_profile(seat)


def show_profile(seat: Seat, errors: object = None) -> Answer:
    """Return what is kept of a person, also for who looks on; to them the way of paying is named, never its number."""
    with seat.context.database.reading() as connection:
        mails = read_choices(connection, PERSON, seat.person_id)
        shown_name = connection.execute(select(person.c.shown_name).where(person.c.id == seat.person_id)).scalar_one()
    way = ways.find_payout_way(seat.context, seat.sharer_id)
    earned = any(int(one["earned"].replace(".", "")) for one in balances_of(seat))
    return show_form(
        "sharer/profile.html",
        errors,
        seat=seat,
        tab="profile",
        mails=mails,
        shown_name=shown_name,
        mail_names=MAILS,
        way=way,
        kinds=KINDS,
        asks_way=way is not None or earned,
    )


@page("/profile/me", methods=["POST"])
def keep_me(seat: Seat) -> Answer:
    """Keep name, the name that friends see, and language."""
    form, tag = request.form, request.form.get("language", "")
    name, shown_name = form.get("name", ""), form.get("shown_name", "")
    try:
        change_person(seat.context, seat.person_id, name=name, shown_name=shown_name, language=tag)
    except BadRequest as error:
        if not error.fields:
            raise
        return show_profile(seat, error.fields)
    response = go("sharer.profile", shop=seat.shop.key, code=_KEPT)
    access.set_cookie(response, LANGUAGE_COOKIE, tag)
    return response


@page("/profile/mails", methods=["POST"])
def keep_mails(seat: Seat) -> Answer:
    """Keep which mails are wanted."""
    wanted = set(request.form.getlist("mails"))
    choose_mails(seat.context, PERSON, seat.person_id, {name: name in wanted for name in CHOICES[PERSON]})
    return go("sharer.profile", shop=seat.shop.key, code=_KEPT)


@page("/profile/way", methods=["GET", "POST"], fresh=True)
def payout_way(seat: Seat) -> Answer:
    """How one is paid; it wants a sign-in of a moment ago."""
    errors: object = None
    form = request.form
    if request.method == "POST":
        try:
            if form.get("forget"):
                ways.drop_payout_way(seat.context, seat.shop.id, seat.sharer_id)
            else:
                details = {name: form.get(name, "") for names in ways.FIELDS.values() for name in names}
                ways.keep_payout_way(seat.context, seat.shop.id, seat.sharer_id, form.get("kind", ""), details)
        except BadRequest as error:
            errors = error.fields
        else:
            return go("sharer.profile", shop=seat.shop.key, code=_PAID_SO)
    way = ways.find_payout_way(seat.context, seat.sharer_id)
    return show_form("sharer/payout_way.html", errors, seat=seat, tab="profile", way=way, kinds=KINDS)


@page("/profile/data", methods=["POST"])
def my_data(seat: Seat) -> Answer:
    """All that is stored about the person, as a file."""
    response = Response(export_person(seat.context, seat.person_id), content_type="application/zip")
    response.headers["Content-Disposition"] = 'attachment; filename="my-data.zip"'
    return response


@page("/profile/sign-out", methods=["POST"])
def end_others(seat: Seat) -> Answer:
    """Sign every other device out."""
    if seat.guest is None:
        raise NotAllowed("not_allowed", "Only they themselves can do this.")
    with seat.context.database.writing() as connection:
        end_sessions(connection, person_id=seat.person_id, but=seat.guest.session_id)
    return go("sharer.profile", shop=seat.shop.key, code=_ENDED)


@page("/profile/leave", methods=["GET", "POST"])
def leave(seat: Seat) -> Answer:
    """Leave the shop's program; the shop's name is typed, so that nobody leaves by a slip."""
    errors = None
    if request.method == "POST":
        if _plain(request.form.get("shop_name", "")) == _plain(seat.shop.name):
            leave_shop(seat.context, seat.sharer_id, seat.person_id)
            return go("sharer.home", shop=seat.shop.key, code=_LEFT)
        errors = {"shop_name": [mark("Type the name of the shop exactly as it stands above.")]}
    return show_form("sharer/leave.html", errors, seat=seat, tab="profile")


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
