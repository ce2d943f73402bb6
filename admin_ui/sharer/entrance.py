"""Coming in and going out: joining a shop, signing in, always by a one-time address in a mail; signing out.

A look at such an address changes nothing, for mail programs open every address to see what it is; the button does.
"""

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from admin_ui import access
from admin_ui.host import guest_here
from admin_ui.page import Answer, go, language, said, show, show_form
from admin_ui.sharer import BELOW, guest_page, open_page, seat_of, shop_at
from plugin.errors import BadRequest
from plugin.languages import mark
from plugin.services import let_in, tickets
from plugin.services.context import Context
from plugin.services.find_seat import list_seats
from plugin.services.manage_program import CLOSED, show_program
from plugin.services.say_offer import say_offer
from plugin.services.sessions import Guest, end_session

_JOINED = said("joined", mark("This is your link. Share it wherever you like."))


@open_page("/join/<shop>", methods=["GET", "POST"])
def join(context: Context, shop: str) -> Answer:
    """What a friend gets, what I get, and the way in."""
    row = shop_at(shop)
    errors: object = None
    if request.method == "POST":
        form = request.form
        try:
            let_in.ask_to_join(
                context,
                row.id,
                form.get("email", ""),
                form.get("name", ""),
                language=language(),
                address=access.address(),
            )
        except BadRequest as error:
            errors = error.fields
        else:
            return show("sharer/look_in_mail.html", shop=row, program=_program(context, row.id))
    return show_form(
        "sharer/join.html",
        errors,
        shop=row,
        program=_program(context, row.id),
        closed=CLOSED,
        promise=say_offer(context, row.id, row.currency, language()),
    )


@open_page("/join/<shop>/<ticket>", methods=["GET", "POST"])
def accept(context: Context, shop: str, ticket: str) -> Answer:
    """The offer once more, and one button that makes a sharer, a session and a link."""
    row = shop_at(shop)
    if request.method == "POST":
        entered = let_in.join(context, row.id, ticket, language=language(), agent=access.agent())
        return _welcome(entered.token, url_for("sharer.home", shop=row.key, said=_JOINED))
    found = tickets.look(context, tickets.JOIN, ticket)
    if found.shop_id != row.id:
        raise tickets.TicketOver
    return show(
        "sharer/accept.html",
        shop=row,
        program=_program(context, row.id),
        ticket=ticket,
        promise=say_offer(context, row.id, row.currency, language()),
    )


@open_page("/me/sign-in", methods=["GET", "POST"])
def sign_in(context: Context) -> Answer:
    """E-mail, and the answer that a mail is under way, whoever asks."""
    errors: object = None
    if request.method == "POST":
        try:
            email = request.form.get("email", "")
            let_in.ask_to_sign_in(context, email, language=language(), address=access.address())
        except BadRequest as error:
            errors = error.fields
        else:
            return show("sharer/look_in_mail.html", shop=None, program=None)
    return show_form("sharer/sign_in.html", errors)


@open_page("/me/enter/<ticket>", methods=["GET", "POST"])
def enter(context: Context, ticket: str) -> Answer:
    """The button that signs in, behind the one-time address."""
    found = tickets.look(context, tickets.SIGN_IN, ticket)
    if request.method == "POST":
        guest = guest_here()
        before = None if guest is None else guest.session_id
        entered = let_in.enter(context, ticket, agent=access.agent(), instead_of=before)
        wanted = access.safe_next(found.body.get("next"), below=BELOW)
        return _welcome(entered.token, f"{request.script_root}{wanted}" if wanted else url_for("sharer.start"))
    return show("sharer/enter.html", ticket=ticket)


@guest_page("/")
def start(context: Context, guest: Guest) -> Answer:
    """The shop a person shares for, or the choice where there are several."""
    with context.database.reading() as connection:
        seats = list_seats(connection, guest.id)
    if len(seats) == 1:
        return redirect(url_for("sharer.home", shop=seats[0].key), 303)
    return show("sharer/start.html", seats=seats, by_host=guest.by_host)


@guest_page("/profile")
def start_profile(context: Context, guest: Guest) -> Answer:
    """What mails lead to: a person's own page in the first shop they share for."""
    with context.database.reading() as connection:
        seats = list_seats(connection, guest.id)
    return redirect(url_for("sharer.profile", shop=seats[0].key) if seats else url_for("sharer.start"), 303)


@guest_page("/<shop>/again", methods=["GET", "POST"])
def again(context: Context, guest: Guest, shop: str) -> Answer:
    """Sign in once more, by a new mail, because what comes next decides where money goes."""
    with context.database.reading() as connection:
        seat = seat_of(context, connection, guest, shop)
    wanted = access.safe_next(request.values.get("next"), below=BELOW) or f"{BELOW}/{shop}/"
    if request.method == "POST":
        let_in.ask_again(
            context, guest.id, seat.shop.id, wanted, language=language(), address=access.address()
        )
        return show("sharer/again.html", seat=seat, tab="profile", sent=True, next=wanted)
    return show("sharer/again.html", seat=seat, tab="profile", sent=False, next=wanted)


@guest_page("/sign-out", methods=["POST"])
def sign_out(context: Context, guest: Guest) -> Answer:
    """End the session on the server; the cookie is worth nothing from now on."""
    end_session(context, guest.session_id)
    response = go("sharer.sign_in")
    access.drop_cookie(response, access.SHARER_COOKIE)
    return response


def _program(context: Context, shop_id: int) -> object:
    with context.database.reading() as connection:
        return show_program(connection, shop_id)


def _welcome(token: str, address: str) -> Response:
    response = make_response(redirect(address, 303))
    access.set_cookie(response, access.SHARER_COOKIE, token)
    return response
