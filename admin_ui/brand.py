"""A shop's own colour on the pages its sharers see: one small style sheet per colour, which can be read on any ground.

The address is the colour itself, so nothing is looked up, and browsers may keep it for ever.
"""

import re
from colorsys import hls_to_rgb, rgb_to_hls
from functools import lru_cache

from flask import Blueprint, Flask, Response, abort

CONTRAST_MIN = 4.5  # WCAG 2.2, 1.4.3
_LIGHT, _DARK = (255, 255, 255), (16, 20, 19)  # the lightest and the darkest ground of passalong.css
_COLOR = re.compile(r"[0-9a-f]{6}", re.ASCII)
_STEPS = 100

Color = tuple[int, int, int]

blueprint = Blueprint("brand", __name__, url_prefix="/assets")


def init_app(app: Flask) -> None:
    """Serve the style sheets."""
    app.register_blueprint(blueprint)


@blueprint.get("/brand-<color>.css")
def style(color: str) -> Response:
    """Send the style sheet of a colour."""
    if not _COLOR.fullmatch(color):
        abort(404)
    headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(make_style(color), headers=headers)


@lru_cache(maxsize=256)
def make_style(color: str) -> str:
    """Return the style sheet of a colour, shaded until text in it and text on it can be read."""
    wanted = _read(color)
    light, dark = readable(wanted, _LIGHT), readable(wanted, _DARK)
    return f":root{{{_names(light, _LIGHT)}}}\n@media (prefers-color-scheme:dark){{:root{{{_names(dark, _DARK)}}}}}\n"


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(color: Color, ground: Color) -> Color:
    """Return the nearest shade of a colour that can be read on the ground, also where that is mixed with it."""
    hue, lightness, saturation = rgb_to_hls(*(part / 255 for part in color))
    towards = 0.0 if _luminance(ground) > 0.5 else 1.0
    for step in range(_STEPS + 1):
        shade = lightness + (towards - lightness) * step / _STEPS
        found = _rounded(hls_to_rgb(hue, shade, saturation))
        if contrast(found, _soft(found, ground)) >= CONTRAST_MIN:
            return found
    return _rounded((towards, towards, towards))


def _names(color: Color, ground: Color) -> str:
    strong = _mixed(color, (0, 0, 0) if ground == _LIGHT else (255, 255, 255), 0.2)
    values = {"": color, "-strong": strong, "-soft": _soft(color, ground)}
    on = max((_LIGHT, _DARK), key=lambda one: contrast(one, color))
    names = [f"--accent{name}:{_write(value)}" for name, value in values.items()]
    return ";".join([*names, f"--on-accent:{_write(on)}"])


def _soft(color: Color, ground: Color) -> Color:
    return _mixed(ground, color, 0.1)


def _mixed(one: Color, other: Color, share: float) -> Color:
    first, second, third = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return first, second, third


def _luminance(color: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rounded(parts: tuple[float, float, float]) -> Color:
    red, green, blue = (round(part * 255) for part in parts)
    return red, green, blue


def _read(color: str) -> Color:
    return int(color[:2], 16), int(color[2:4], 16), int(color[4:], 16)


def _write(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
