"""The files a page loads: each under an address that names its content, so that browsers may keep it for ever."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request, url_for
from markupsafe import Markup

FOLDER = Path(__file__).parent / "static"
_COMPRESSED = frozenset({".css", ".js", ".svg"})
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)

blueprint = Blueprint("assets", __name__, url_prefix="/assets")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    name: str
    version: str
    type: str
    content: bytes
    compressed: bytes | None


def init_app(app: Flask) -> None:
    """Serve the files, and teach the templates to name them and to draw icons."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(asset=address, icon=icon)


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in FOLDER.iterdir() if path.is_file())


def _find(name: str) -> Asset | None:
    """Return a file. What is asked for from outside is no path, and nothing is kept of a name that there is not."""
    return _read(name) if name in _names() else None


@cache
def _read(name: str) -> Asset:
    path = FOLDER / name
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0) if path.suffix in _COMPRESSED else None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(name, hashlib.sha256(content).hexdigest()[:12], kind, content, packed)


def address(name: str) -> str:
    """Return the address of a file; raise FileNotFoundError where there is none of that name."""
    found = _find(name)
    if found is None:
        raise FileNotFoundError(name)
    return url_for("assets.show", version=found.version, name=name)


@blueprint.get("/<version>/<name>")
def show(version: str, name: str) -> Response:
    """Send a file. One of another version is not there: what is kept for ever must be right."""
    found = _find(name)
    if found is None or found.version != version:
        abort(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": found.type}
    if found.compressed is None:
        return Response(found.content, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    if request.accept_encodings["gzip"] > 0:
        return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, headers=headers)


@cache
def icon(name: str) -> Markup:
    """Return an icon to stand beside a text that says the same; raise FileNotFoundError for an unknown one."""
    drawn = _COMMENT.sub("", (FOLDER / "icons" / f"{name}.svg").read_text(encoding="utf-8"))
    inner = drawn[drawn.index(">") + 1 : drawn.rindex("</svg>")]
    lines = " ".join(inner.split())
    return Markup(  # noqa: S704 - a file of our own
        f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{lines}</svg>'
    )
