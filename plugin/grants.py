"""Grants: a shop whose owner clicks "approve" on a page of the shop, which then sends us the keys of its API.

The address that the shop sends them to holds, signed, which shop is meant; it is good for an hour. The keys are tried
in that very shop before anything is kept, so an address that fell into other hands connects nothing else.
"""

import hashlib
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from plugin import shops
from plugin.api.problems import problem
from plugin.errors import BadRequest, NotFound, PluginError
from plugin.keys import Keys
from plugin.plain_page import POLICY, plain_page
from plugin.services.add_shop import NewShop, home_of
from plugin.services.connect_shop import connect_shop
from plugin.services.context import Context
from plugin.shops.base import Granting, read_json

SECONDS_MAX = 3_600
BODY_BYTES_MAX = 4_096
_ACTOR = "grant"
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
_BACK = plain_page(
    {
        "en": ("Back from the shop", "If you approved, the shop is connected. You can close this page."),
        "zh-Hant": ("已從商店返回", "若您已核准，商店即已連接，可以關閉此頁。"),
        "zh-Hans": ("已从商店返回", "若您已批准，商店即已连接，可以关闭此页。"),
        "ja": ("ショップから戻りました", "承認した場合、ショップは接続済みです。このページは閉じてかまいません。"),
    }
)

blueprint = Blueprint("grants", __name__)


def init_app(app: Flask) -> None:
    """Mount the addresses that a shop's page sends its owner and the keys to."""
    app.register_blueprint(blueprint)


def grant_url(context: Context, new: NewShop) -> str | None:
    """Return the address of the shop's page that asks its owner for keys; None where there is none.

    A shop sends keys to https:// addresses only.
    """
    adapter, ours = shops.get(new.platform), context.settings.base_url
    if not isinstance(adapter, Granting) or not ours.startswith("https://"):
        return None
    home = home_of(new.url)
    said = [new.platform, home, new.name, new.currency, new.timezone, new.starts_at, new.live]
    return adapter.grant_url(home, f"{ours}/connect/{_serializer(context.keys).dumps(said)}", f"{ours}/connect/back")


def _serializer(keys: Keys) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        keys.mac_key("grant"), salt="passalong.grant", signer_kwargs={"digest_method": hashlib.sha256}
    )


@blueprint.get("/connect/back")
def back() -> Response:
    """Say to the owner, whom the shop sent back, how it went."""
    return Response(_BACK, 200, _HEADERS, mimetype="text/html")


@blueprint.post("/connect/<token>")
def granted(token: str) -> Any:
    """Take the keys that a shop sends, and connect it: 200 once that is done."""
    context: Context = current_app.extensions["passalong"].context
    try:
        platform, url, name, currency, timezone, starts_at, live = _serializer(context.keys).loads(
            token, max_age=SECONDS_MAX
        )
    except (BadData, ValueError, TypeError):
        raise NotFound("unknown_grant", "This address is no longer good. Run passalong shop connect again.") from None
    adapter = shops.get(platform)
    body = request.stream.read(BODY_BYTES_MAX + 1)
    if not isinstance(adapter, Granting) or len(body) > BODY_BYTES_MAX:
        raise BadRequest("bad_grant", "These are no keys of a shop.")
    keys = adapter.granted(read_json(body))
    new = NewShop(platform, url, name, currency, timezone, starts_at=starts_at, live=live, credentials=keys)
    return {"connected": True, "shop": connect_shop(context, new, actor=_ACTOR)["key"]}


@blueprint.errorhandler(PluginError)
def refused(error: PluginError) -> Response:
    """Answer an error of ours as a problem."""
    return problem(error.status, error.code, error.message)
