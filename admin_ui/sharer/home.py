"""Home: the link at once, then what is on the way, ready and paid, then the latest lines."""

from urllib.parse import quote

from admin_ui.page import Answer, gettext, go, language, said, show
from admin_ui.sharer import Seat, page
from plugin.domain.money import format_minor
from plugin.errors import Conflict
from plugin.languages import mark
from plugin.services.issue_link import first_link, issue_link
from plugin.services.say_offer import say_offer
from plugin.services.show_books import show_balances
from plugin.services.show_earnings import list_lines

LINES_SHOWN = 5
_MADE = said("link-made", mark("This is your link. Share it wherever you like."))
NOTHING = ("pending", "held", "payable", "in_flight", "paid", "earned")


@page("/")
def home(seat: Seat) -> Answer:
    """The first page of a sharer in a shop."""
    return show_home(seat)


def show_home(seat: Seat) -> str:
    """Return the first page of a seat, also for who looks on."""
    lines = list_lines(seat.context, seat.sharer_id, after=None, limit=LINES_SHOWN)
    return show(
        "sharer/home.html",
        seat=seat,
        tab="home",
        balances=balances_of(seat),
        lines=lines.items,
        promise=say_offer(seat.context, seat.shop.id, seat.shop.currency, language()),
        ways=ways_to_share(seat, seat.share_url),
    )


@page("/link", methods=["POST"])
def make_link(seat: Seat) -> Answer:
    """Give a sharer who has none their own link, to the shop's first page."""
    if seat.status != "approved":
        raise Conflict("not_approved", "The shop has not approved you yet, so there is no link to share.")
    own = first_link(seat.sharer_id)
    issue_link(
        seat.context, seat.shop.id, seat.sharer_id, url=None, channel=None, campaign=None, unless=own, actor=seat.actor
    )
    return go("sharer.home", shop=seat.shop.key, code=_MADE)


def balances_of(seat: Seat) -> list[dict[str, str]]:
    """Return the balances by currency; zeros in the shop's own where nothing was ever earned."""
    found: list[dict[str, str]] = show_balances(seat.context, seat.sharer_id)["balances"]
    nothing = format_minor(0, seat.shop.currency)
    return found or [{"currency": seat.shop.currency} | dict.fromkeys(NOTHING, nothing)]


def ways_to_share(seat: Seat, address: str | None) -> dict[str, str]:
    """Return what the buttons around a share address need: its text, and where the messengers take it."""
    if address is None:
        return {}
    text = gettext("I like %(shop)s. Have a look:") % {"shop": seat.shop.name}
    whole = quote(f"{text} {address}", safe="")
    return {
        "address": address,
        "text": text,
        "line": f"https://line.me/R/share?text={whole}",
        "whatsapp": f"https://wa.me/?text={whole}",
    }
