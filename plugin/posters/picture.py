"""Making a product's picture ready: whatever a shop sends becomes one small JPEG, upright and in plain colours."""

from io import BytesIO

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SIDE_MAX = 960  # pixels of the shorter side that is kept; no stage is larger
PIXELS_MAX = 16_000_000  # of a picture that has to be unpacked whole: 48 MB for a moment
PIXELS_MAX_JPEG = 100_000_000  # of one that can be unpacked at an eighth of its size
SIDES_MAX = 6  # a picture longer than so many times its width is a banner, and shows nothing on a stage


class Unusable(ValueError):
    """What came is no picture that can be shown."""


def prepare(data: bytes) -> bytes:
    """Return a picture as a JPEG that is a little larger than any stage; raise Unusable for what cannot be one."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            return _prepare(picture)
    except Exception as error:  # decoders raise what they like, over bytes that anybody may have made
        raise Unusable(type(error).__name__) from None


def _prepare(picture: Image.Image) -> bytes:
    width, height = picture.size
    if width * height > (PIXELS_MAX_JPEG if picture.format == "JPEG" else PIXELS_MAX):
        raise Unusable("too large")
    if max(width, height) > SIDES_MAX * min(width, height) or min(width, height) < 64:
        raise Unusable("not the shape of a product")
    picture.draft("RGB", (SIDE_MAX, SIDE_MAX))  # a JPEG is then unpacked small
    upright = ImageOps.exif_transpose(picture)
    scale = SIDE_MAX / min(upright.size)
    if scale < 1:
        small = round(upright.width * scale), round(upright.height * scale)
        upright = upright.resize(small, Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = BytesIO()
    _on_white(upright).save(file, "JPEG", quality=90)
    return file.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    """Return a picture without transparency, as it looks on a white page."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")
