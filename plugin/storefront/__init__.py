"""``GET /pa/<shop key>.js``: the script that a shop's pages load, made from the shop's platform and its plan's window.

Beside it there are scripts of their own for the blocks that a shop may add to its pages. The sources beside this file
are what a person reads. What is served is the same without comments and blanks, and with one letter for each name that
begins with ``$``: under 2 KB without a build step. No secret of a shop is near it.
"""

import json
import re
import string
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import rjsmin
from flask import Blueprint, Flask, Response, current_app, request

from plugin.errors import Unavailable
from plugin.storefront import words

MAX_AGE_SECONDS = 300
RETRY_AFTER_SECONDS = 10

blueprint = Blueprint("storefront", __name__)

_FOLDER = Path(__file__).parent
_PLATFORMS = {path.stem: path.read_text(encoding="utf-8") for path in (_FOLDER / "platforms").glob("*.js")}
_SNIPPET = (_FOLDER / "snippet.js").read_text(encoding="utf-8")
_ASK = (_FOLDER / "blocks" / "ask.js").read_text(encoding="utf-8")
BLOCKS = {name: (_FOLDER / "blocks" / f"{name}.js").read_text(encoding="utf-8") for name in ("banner", "thanks")}
_NO_PLATFORM = "() => ({})"
_NAME = re.compile(r"\$[a-z]+", re.ASCII)
_HEADERS = [
    ("Content-Type", "text/javascript; charset=utf-8"),
    # A shop's page is of another origin, and may ask for what it embeds to allow that (COEP, require-corp).
    ("Cross-Origin-Resource-Policy", "cross-origin"),
]
_NOTHING = "/**/\n"


def init_app(app: Flask) -> None:
    """Mount the script on an app whose ``extensions["passalong"]`` holds storefronts."""
    app.register_blueprint(blueprint)
    app.register_blueprint(words.blueprint)


@blueprint.get("/pa/<shop_key>.js")
def snippet(shop_key: str) -> Response:
    """Answer with the shop's script; 404 with an empty one where there is no such shop."""
    found = _services().storefronts.find(shop_key)
    return _no_script() if found is None else _send(*make_script(found.platform, found.window_days))


@blueprint.get("/pa/<shop_key>/banner.js", defaults={"name": "banner"})
@blueprint.get("/pa/<shop_key>/thanks.js", defaults={"name": "thanks"})
def block(shop_key: str, name: str) -> Response:
    """Answer with the script of one of the blocks that a shop may add; 404 with an empty one where there is no shop."""
    passalong = _services()
    if passalong.storefronts.find(shop_key) is None:
        return _no_script()
    return _send(*make_block(name, f"{passalong.context.settings.base_url}/pa/{shop_key}/"))


def _services() -> Any:
    return current_app.extensions["passalong"]


def _no_script() -> Response:
    return Response(_NOTHING, 404, [*_HEADERS, ("Cache-Control", "no-store")])


def _send(script: bytes, tag: str) -> Response:
    response = Response(script, 200, [*_HEADERS, ("Cache-Control", f"public, max-age={MAX_AGE_SECONDS}")])
    response.set_etag(tag)
    response.make_conditional(request)
    return response


@blueprint.errorhandler(Unavailable)
def busy(error: Unavailable) -> Response:
    """Give a shop's page nothing, for now, while a shop nobody asked for lately cannot be looked up."""
    more = [("Cache-Control", "no-store"), ("Retry-After", str(RETRY_AFTER_SECONDS))]
    return Response(_NOTHING, 503, [*_HEADERS, *more])


@lru_cache(maxsize=256)
def make_script(platform: str, window_days: int) -> tuple[bytes, str]:
    """Return the script for a platform and a window in days, and the tag of exactly this script."""
    return _shortened(f"{_SNIPPET}({window_days}, {_PLATFORMS.get(platform, _NO_PLATFORM)});")


@lru_cache(maxsize=256)
def make_block(name: str, home: str) -> tuple[bytes, str]:
    """Return the script of a block for the shop whose words are below ``home``, and the tag of exactly this script."""
    return _shortened(f"{_ASK}({json.dumps(home)}, {BLOCKS[name]});")


def _shortened(source: str) -> tuple[bytes, str]:
    text = rjsmin.jsmin(source)
    short = dict(zip(dict.fromkeys(_NAME.findall(text)), string.ascii_letters, strict=False))
    script = _NAME.sub(lambda name: short[name[0]], text).encode()
    return script, sha256(script).hexdigest()[:16]
