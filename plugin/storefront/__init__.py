"""``GET /pa/<shop key>.js``: the script that a shop's pages load, made from the shop's platform and its plan's window.

The sources beside this file are what a person reads. What is served is the same without comments and blanks, and with
one letter for each name that begins with ``$``: under 2 KB without a build step. No secret of a shop is near it.
"""

import re
import string
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import rjsmin
from flask import Blueprint, Flask, Response, current_app, request

from plugin.errors import Unavailable

MAX_AGE_SECONDS = 300
RETRY_AFTER_SECONDS = 10

blueprint = Blueprint("storefront", __name__)

_FOLDER = Path(__file__).parent
_PLATFORMS = {path.stem: path.read_text(encoding="utf-8") for path in (_FOLDER / "platforms").glob("*.js")}
_SNIPPET = (_FOLDER / "snippet.js").read_text(encoding="utf-8")
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


@blueprint.get("/pa/<shop_key>.js")
def snippet(shop_key: str) -> Response:
    """Answer with the shop's script; 404 with an empty one where there is no such shop."""
    passalong: Any = current_app.extensions["passalong"]
    found = passalong.storefronts.find(shop_key)
    if found is None:
        return Response(_NOTHING, 404, [*_HEADERS, ("Cache-Control", "no-store")])
    script, tag = make_script(found.platform, found.window_days)
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
    text = rjsmin.jsmin(f"{_SNIPPET}({window_days}, {_PLATFORMS.get(platform, _NO_PLATFORM)});")
    short = dict(zip(dict.fromkeys(_NAME.findall(text)), string.ascii_letters, strict=False))
    script = _NAME.sub(lambda name: short[name[0]], text).encode()
    return script, sha256(script).hexdigest()[:16]
