"""What the blocks on a shop's pages say: who recommended it, and what whoever shares gets, in the language of the page.

Open to anybody from any origin, without credentials; nothing is said of a person but the name they chose for it.
"""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from plugin.languages import LANGUAGES, choose, mark, texts
from plugin.services.find_friend import Friend
from plugin.services.find_seat import find_shop
from plugin.services.manage_program import CLOSED, show_program
from plugin.services.say_offer import say_offer

MAX_AGE_SECONDS = 300
LANGUAGE_LENGTH_MAX = 35  # of a tag, RFC 5646, section 4.4.1
_BY_NAME = mark("%(name)s recommended this. They may earn a commission.")
_BY_A_FRIEND = mark("A friend recommended this. They may earn a commission.")
_HEADERS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("X-Robots-Tag", "noindex"),
]

blueprint = Blueprint("storefront_words", __name__)


def services() -> Any:
    """Return the services of the app that answers this request."""
    return current_app.extensions["passalong"]


@blueprint.after_request
def open_to_all(response: Response) -> Response:
    """Let the pages of every shop read the answer; those are of another origin (Fetch, CORS protocol)."""
    response.headers.extend(_HEADERS)
    kept = f"public, max-age={MAX_AGE_SECONDS}" if response.status_code < 300 else "no-store"
    response.headers.setdefault("Cache-Control", kept)
    return response


@blueprint.get("/pa/<shop_key>/banner/<token>")
def banner(shop_key: str, token: str) -> Response:
    """Say who sent the visitor that came with this token; 204 where it counts for nobody."""
    passalong = services()
    storefront = passalong.storefronts.find(shop_key)
    found = None if storefront is None else passalong.friends.find(storefront, token)
    if found is None:
        return Response(status=204)
    language = _language()
    gettext = texts(language).gettext
    return jsonify(
        lang=language,
        label=gettext("Recommendation"),
        text=_sentence(found, language),
        more=gettext("How this works"),
        url=f"{passalong.context.settings.base_url}/privacy/{shop_key}?lang={language}",
        close=gettext("Close"),
    )


def _sentence(friend: Friend, language: str) -> str:
    gettext = texts(language).gettext
    if friend.name is None:
        return gettext(_BY_A_FRIEND)
    # A name of whatever direction leaves the sentence around it as it is (UAX #9, isolates).
    return gettext(_BY_NAME) % {"name": f"\u2068{friend.name}\u2069"}


@blueprint.get("/pa/<shop_key>/thanks")
def thanks(shop_key: str) -> Response:
    """Say what a buyer gets who shares; 204 where nobody new is taken, or nothing is paid."""
    context = services().context
    row = find_shop(context, shop_key)
    if row is None:
        return Response(status=204)
    language = _language()
    offer = say_offer(context, row.id, row.currency, language)
    with context.database.reading() as connection:
        program = show_program(connection, row.id)
    if offer.mine is None or program.join_mode == CLOSED:
        return Response(status=204)
    gettext = texts(language).gettext
    return jsonify(
        lang=language,
        title=gettext("Share %(shop)s and earn") % {"shop": row.name},
        text=offer.mine if program.reward_shown else offer.friend,
        button=gettext("Get my link"),
        url=f"{context.settings.base_url}/join/{shop_key}?lang={language}",
    )


def _language() -> str:
    """Return the language of the page that asks, as far as it is spoken here."""
    tag = request.args.get("lang", "")[:LANGUAGE_LENGTH_MAX]
    return tag if tag in LANGUAGES else choose([(tag, 1)])
