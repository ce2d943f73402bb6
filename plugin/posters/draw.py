"""Drawing a poster: the shop, the product on its stage, and below it a card with the sharer's name and the QR code."""

from collections.abc import Callable
from functools import cache, partial
from io import BytesIO

import segno
from PIL import Image, ImageColor, ImageDraw, ImageOps

from plugin.posters import PORTRAIT, Layout, Poster
from plugin.posters.faces import BOLD, REGULAR, covers, face, shapes_text
from plugin.posters.text import drawable, drawable_words, fits, shorten, wrap

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]

_WHITE: Color = (255, 255, 255)
_INK: Color = (22, 33, 31)
_RADIUS = 32
_HEAD, _LABEL, _NAME, _NOTE = 30, 23, 38, 20  # sizes of type, in pixels
_HINT = (28, 24, 20)  # the largest that fits in two lines
_TITLE, _PRICE = (44, 40), 46
_TITLE_ALONE = (84, 68, 56, 48)
_LEADING = 1.36
_RISE = 0.88  # how far ideographs stand above the baseline


def draw(poster: Poster, layout: Layout = PORTRAIT) -> bytes:
    """Return a poster as PNG."""
    canvas = _Canvas(poster, layout)
    left, right = layout.margin, layout.width - layout.margin
    foot = layout.height - layout.margin - _NOTE
    canvas.note((left, foot, right, foot + _NOTE))
    card = (left, foot - 24 - layout.card, right, foot - 24)
    canvas.card(card)
    canvas.product((left, layout.margin, right, card[1] - 32))
    file = BytesIO()
    canvas.image.save(file, "PNG")
    return file.getvalue()


def _mix(one: Color, other: Color, share: float) -> Color:
    """Return a colour with a share of another in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@cache
def _corner(radius: int) -> Image.Image:
    """Return the mask of a rounded corner, the upper left one, with smooth edges."""
    large = Image.new("L", (4 * radius, 4 * radius))
    ImageDraw.Draw(large).ellipse((0, 0, 8 * radius - 1, 8 * radius - 1), fill=255)
    return large.resize((radius, radius), Image.Resampling.LANCZOS)


def _rounded(size: tuple[int, int], radius: int = _RADIUS) -> Image.Image:
    """Return the mask of a rectangle with rounded corners."""
    width, height = size
    mask = Image.new("L", size, 255)
    corner = _corner(radius)
    mirrored, turned = ImageOps.mirror(corner), ImageOps.flip(corner)
    mask.paste(corner, (0, 0))
    mask.paste(mirrored, (width - radius, 0))
    mask.paste(turned, (0, height - radius))
    mask.paste(ImageOps.mirror(turned), (width - radius, height - radius))
    return mask


class _Canvas:
    """A poster while it is drawn. Boxes are (left, top, right, bottom)."""

    def __init__(self, poster: Poster, layout: Layout) -> None:
        self._poster = poster
        red, green, blue = ImageColor.getrgb(poster.accent)[:3]
        self._accent: Color = (red, green, blue)
        self._paper = _mix(_WHITE, self._accent, 0.06)
        self._muted = _mix(_INK, self._paper, 0.36)
        self.image = Image.new("RGB", (layout.width, layout.height), self._paper)
        self._pen = ImageDraw.Draw(self.image)
        has = partial(covers, BOLD)
        self._shop = drawable(poster.shop, has) or poster.host
        self._title = drawable_words(poster.title, has)
        # A price alone would be that of nothing, or of the shop.
        is_shown = self._title is not None or poster.picture is not None
        self._price = drawable(poster.price, has) if is_shown else None
        self._sharer = drawable(poster.sharer, has)

    # --- the parts --------------------------------------------------------------------------------------------------

    def note(self, box: Box) -> None:
        """Say at the foot that the sharer may earn."""
        left, top, right, _ = box
        size = self._fitting((_NOTE, _NOTE - 2, _NOTE - 4), self._poster.disclosure, right - left, 1, REGULAR)
        self._line((left, top), self._poster.disclosure, size, self._muted, REGULAR, width_max=right - left)

    def card(self, box: Box) -> None:
        """Draw the card: who recommends, what to do, and the code."""
        left, top, right, bottom = box
        self._panel(box, _WHITE)
        inset = 32
        side = bottom - top - 2 * inset
        self._code((right - inset - side, top + inset), side)
        left, width = left + inset, right - left - 3 * inset - side
        if self._sharer is None:
            self._block((left, top + inset), self._poster.label_alone, _NAME, _INK, width, lines_max=3)
        else:
            self._line((left, top + inset), self._poster.label, _LABEL, self._muted, REGULAR, width_max=width)
            self._block((left, top + inset + 40), self._sharer, _NAME, _INK, width, lines_max=2)
        size = self._fitting(_HINT, self._poster.hint, width, 2)
        lines = self._lines(self._poster.hint, size, width, 2)
        height = self._height(size, len(lines))
        self._block((left, bottom - inset - height), self._poster.hint, size, self._accent, width, lines_max=2)

    def product(self, box: Box) -> None:
        """Draw the shop's name and the product, with its picture where there is one."""
        left, top, right, bottom = box
        if self._title is not None or self._poster.picture is not None:
            self._line((left, top), self._shop, _HEAD, _INK, width_max=right - left)
            top += _HEAD + 28
        if self._poster.picture is None:
            self._stage_alone((left, top, right, bottom))
        else:
            self._picture((left, top, right, self._caption((left, top, right, bottom))), self._poster.picture)

    # --- the stage --------------------------------------------------------------------------------------------------

    def _picture(self, box: Box, picture: bytes) -> None:
        left, top, right, bottom = box
        size = right - left, bottom - top
        with Image.open(BytesIO(picture), formats=("JPEG",)) as found:
            fitted = ImageOps.fit(found, size, Image.Resampling.LANCZOS)
        self.image.paste(fitted, (left, top), _rounded(size))

    def _caption(self, box: Box) -> int:
        """Draw title and price at the foot of a box; return where what stands above them has to end."""
        left, top, right, bottom = box
        width = right - left
        size = self._fitting(_TITLE, self._title or "", width, 2)
        lines = self._lines(self._title, size, width, 2)
        if self._price:
            bottom -= _PRICE + 12
            self._line((left, bottom), self._price, _PRICE, self._accent, width_max=width)
            bottom -= 22 if lines else 0
        bottom -= self._height(size, len(lines))
        for number, line in enumerate(lines):
            self._line((left, bottom + number * round(size * _LEADING)), line, size, _INK)
        return bottom - 36 if lines or self._price else bottom

    def _stage_alone(self, box: Box) -> None:
        """Draw a panel in the accent with the title large, or with the shop's name where no product is known."""
        left, top, right, bottom = box
        self._panel(box, self._accent, self._circles)
        inset = 56
        width, middle = right - left - 2 * inset, (top + bottom) // 2
        text = self._title or self._shop
        size = self._fitting(_TITLE_ALONE, text, width, 4)
        lines = self._lines(text, size, width, 5)
        height = self._height(size, len(lines))
        top = middle - (height + (92 if self._price else 0)) // 2
        for line in lines:
            self._line((left + inset, top), line, size, _WHITE)
            top += round(size * _LEADING)
        if self._price:
            top += 44 - round(size * (_LEADING - 1))
            self._line((left + inset, top), self._price, 48, _mix(_WHITE, self._accent, 0.12), width_max=width)

    def _circles(self, panel: Image.Image) -> None:
        """Put two large circles behind the title, like a sun and a hill, so that the panel is not a mere sheet."""
        width, height = panel.size
        large = Image.new("RGB", (2 * width, 2 * height), self._accent)
        pen = ImageDraw.Draw(large)
        for x, y, radius, share in ((1.0, 0.02, 0.42, 0.10), (0.06, 1.08, 0.56, 0.06)):
            place = (2 * x * width - 2 * radius * width, 2 * y * height - 2 * radius * width)
            far = (2 * x * width + 2 * radius * width, 2 * y * height + 2 * radius * width)
            pen.ellipse((*place, *far), fill=_mix(self._accent, _WHITE, share))
        panel.paste(large.resize(panel.size, Image.Resampling.BOX))

    def _panel(self, box: Box, color: Color, decorate: Callable[[Image.Image], None] | None = None) -> None:
        left, top, right, bottom = box
        panel = Image.new("RGB", (right - left, bottom - top), color)
        if decorate is not None:
            decorate(panel)
        self.image.paste(panel, (left, top), _rounded(panel.size))

    # --- the code ---------------------------------------------------------------------------------------------------

    def _code(self, place: tuple[int, int], side: int) -> None:
        """Draw the QR code as large as whole pixels allow; the card around it is the quiet zone that readers need."""
        matrix = segno.make(self._poster.address, error="m", micro=False).matrix
        count = len(matrix)
        code = Image.new("L", (count, count))
        code.putdata([255 * (not module) for row in matrix for module in row])
        scale = side // count
        offset = side - scale * count
        code = code.resize((scale * count, scale * count), Image.Resampling.NEAREST)
        self.image.paste(code.convert("RGB"), (place[0] + offset, place[1] + offset // 2))

    # --- texts ------------------------------------------------------------------------------------------------------

    def _language(self) -> str | None:
        return self._poster.language if shapes_text() else None

    def _width(self, name: str, size: int, text: str) -> float:
        return face(name, size).getlength(text, language=self._language())

    def _lines(self, text: str | None, size: int, width: int, lines_max: int) -> list[str]:
        return wrap(text or "", partial(self._width, BOLD, size), width, lines_max)

    def _height(self, size: int, lines: int) -> int:
        """Return how high lines are: the last one without the leading below it."""
        return round(size * _LEADING) * (lines - 1) + size if lines else 0

    def _fitting(self, sizes: tuple[int, ...], text: str, width: int, lines_max: int, name: str = BOLD) -> int:
        """Return the largest of the sizes in which a text fits, else the smallest."""
        for size in sizes:
            if fits(text, partial(self._width, name, size), width, lines_max):
                return size
        return sizes[-1]

    def _block(self, place: tuple[int, int], text: str, size: int, color: Color, width: int, *, lines_max: int) -> None:
        left, top = place
        for line in self._lines(text, size, width, lines_max):
            self._line((left, top), line, size, color)
            top += round(size * _LEADING)

    def _line(
        self,
        place: tuple[int, int],
        text: str,
        size: int,
        color: Color,
        name: str = BOLD,
        *,
        width_max: int | None = None,
    ) -> None:
        """Draw one line with its upper left corner at a place, cut where it would be wider than ``width_max``."""
        name = name if covers(name, text) else BOLD
        if width_max is not None:
            text = shorten(text, partial(self._width, name, size), width_max)
        left, top = place
        baseline = top + round(size * _RISE)
        self._pen.text((left, baseline), text, color, face(name, size), anchor="ls", language=self._language())
