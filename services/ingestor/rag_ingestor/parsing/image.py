"""Images: their pages, and what was recognised on them (OCR)."""

import io
import struct
from collections.abc import Mapping

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import Limits, Parsed, ParsedBuilder, content_error

# Photographs of several sizes (MPO) are opened as JPEG.
_PLUGINS = (
    *(
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
    ),
    WebPImagePlugin,
)
_FORMATS = ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"]
# All that Pillow imports at the first image: a sandbox can open no file later.
Image.preinit()
_DAMAGE = (
    *(UnidentifiedImageError, Image.DecompressionBombError, struct.error),
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError),
)
# An A3 page at 600 dots an inch has 70 million.
_MAX_PIXELS = 100_000_000
# Narrower images are enlarged: small letters are hardly recognised.
_MIN_WIDTH = 1200
# Tesseract reads images of at most 32,767 pixels a side.
_LONGEST_SIDE = 30_000


def parse(
    content: bytes, limits: Limits, recognised: Mapping[int, str] | None, media_type: str
) -> Parsed:
    """What was recognised, by pages. Without `recognised`, images are refused.

    If it is empty, all pages are noted as unread, so that they can be recognised.
    """
    if recognised is None:
        raise content_error(reasons.IMAGE)
    with _opened(content) as image:
        try:
            # A photograph of several sizes (MPO) has the same page in each.
            count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
        except _DAMAGE as error:
            raise content_error(reasons.BROKEN_IMAGE) from error
    if count > limits.max_pages:
        raise content_error(reasons.TOO_MANY_PAGES)
    builder = ParsedBuilder(limits)
    for page in range(1, count + 1):
        builder.add(recognised.get(page, ""))
        builder.end_page(page)
    if not recognised:
        builder.skip(reasons.PAGE_WITHOUT_TEXT, range(1, count + 1))
        return builder.parsed("", media_type)
    parsed = builder.parsed("", media_type)
    if not parsed.text:
        raise content_error(reasons.NOTHING_RECOGNISED)
    builder.note_recognised(
        recognised, [page for page in range(1, count + 1) if page in recognised]
    )
    left = [page for page in range(1, count + 1) if page not in recognised]
    if left:
        builder.skip(reasons.PAGE_WITHOUT_TEXT, left)
    return builder.parsed("", media_type)


def render(content: bytes, page: int) -> bytes:
    """A page, from 1, in grey as PGM. Raises InvalidArgument."""
    with _opened(content) as image:
        try:
            image.seek(page - 1)
            grey = _on_white(_upright(image)).convert("L")
        except _DAMAGE as error:
            raise content_error(reasons.BROKEN_IMAGE) from error
    factor = max(1, min(-(-_MIN_WIDTH // grey.width), _LONGEST_SIDE // grey.height))
    if factor > 1:
        grey = grey.resize((grey.width * factor, grey.height * factor))
    return pgm(grey.width, grey.height, grey.tobytes())


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its metadata say, or as it is if these are damaged, which may raise anything."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _on_white(image: Image.Image) -> Image.Image:
    """The image with white where it is transparent, which is black otherwise."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer)


def pgm(width: int, height: int, pixels: bytes) -> bytes:
    """An image in PGM, https://netpbm.sourceforge.net/doc/pgm.html."""
    return b"P5 %d %d 255\n%s" % (width, height, pixels)


def _opened(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise content_error(reasons.EXPANDS) from error
    except _DAMAGE as error:
        raise content_error(reasons.BROKEN_IMAGE) from error
    if image.width * image.height > _MAX_PIXELS:
        raise content_error(reasons.EXPANDS)
    return image
