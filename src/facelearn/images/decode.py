"""One image, decoded safely and always the same way: limits, EXIF rotation, colour modes, truncation."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.limits import PIXELS
from facelearn.outside import open_regular

if TYPE_CHECKING:
    from PIL import Image

Color = Literal["grey", "rgb"]
ImageSource = Path | str | bytes | BinaryIO

IMAGE_EXTENSIONS = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp",
        ".avif", ".pgm", ".ppm", ".pbm", ".pnm",
    }
)  # fmt: skip
ACCEPTED = "JPEG, PNG, BMP, GIF, TIFF, WebP, AVIF or PGM/PPM"

_HEIC = "HEIC photos; export them as JPEG, or convert them with: heif-convert IN.HEIC OUT.jpg"
_RAW = "raw photos of a camera; develop them to JPEG or PNG"
_VIDEO = "video; take frames out of it, as with: ffmpeg -i IN -vf fps=1 %04d.png"
_OTHER = "pictures of a format that is not read; save them as JPEG or PNG"
NOT_READ = {
    **dict.fromkeys((".heic", ".heif", ".hif", ".heics"), _HEIC),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".rw2", ".orf", ".pef", ".srw", ".x3f", ".3fr", ".iiq"),
        _RAW,
    ),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".3gp", ".mpg", ".mpeg", ".wmv", ".mts", ".flv"), _VIDEO),
    **dict.fromkeys(
        (".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".psb", ".svg", ".tga", ".exr", ".hdr", ".eps", ".ico", ".icns", ".xcf", ".pcx", ".heix"),
        _OTHER,
    ),
}  # fmt: skip
"""What photos and films that are not read end in, and what to do about each kind."""

# Pillow's other plugins are left out: some start programs (EPS), none holds face photos
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
_AVIF = (b"ftypavif", b"ftypavis")
_HEIF = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftyphevx", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I"})
_ORIENTATION = 0x0112
# what Pillow's parsers let through when the bytes make no sense
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    MemoryError,
    struct.error,
)


class ImageError(DataError):
    """One image that cannot be decoded; the message is a sentence without the file's name."""


@dataclass(frozen=True)
class ImageFacts:
    """What an image's header says.

    Attributes:
        width, height: pixels, after the EXIF rotation.
        channels: 1 for a grey image, 3 for any other.
        frames: 1, or the number of frames of an animation.
        orientation: 1, or what EXIF says of the photo as stored (2 to 8), which is turned upright.
    """

    width: int
    height: int
    channels: int
    frames: int
    orientation: int = 1


def looks_like_image(start: bytes) -> bool:
    """True when the first bytes of a file (16 are enough) are those of an image format that `decode_image` reads."""
    if start.startswith(_MAGIC):
        return True
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return True
    if start[4:12] in _AVIF:
        return True
    return start[:1] == b"P" and start[1:2] in b"123456" and start[2:3] in b" \t\r\n#" and len(start) > 2


def image_facts(source: ImageSource, *, max_pixels: int | None = None) -> ImageFacts:
    """The size and kind of an image, from its header alone.

    Raises:
        ImageError: empty, not an image, or more than `max_pixels` pixels (`limits.PIXELS` where not given).
    """
    with _stream(source) as stream:
        image = _open(stream, max_pixels)
        width, height = image.size
        orientation = _orientation(image)
        # Pillow itself swaps the size of a rotated TIFF
        if image.format != "TIFF" and orientation >= 5:
            width, height = height, width
        return ImageFacts(width, height, 1 if _is_grey(image) else 3, _frames(image), orientation)


def decode_image(
    source: ImageSource, *, color: Color | None = None, max_pixels: int | None = None
) -> NDArray[np.uint8]:
    """Decode one image, upright.

    EXIF rotation is applied. 16-bit images are scaled by their bit depth (v >> 8), never by their content. Transparent
    pixels are composited over white. CMYK, palette and other modes become RGB; grey is ITU-R BT.601 luma. Of an
    animation the first frame is taken. The number of pixels is checked in the header, before anything is decoded.

    Args:
        source: a path, the file's bytes, or a binary file object.
        color: "grey" or "rgb"; None keeps the image's own.
        max_pixels: limit on width times height; None is `limits.PIXELS`.

    Returns:
        uint8 (H, W, C), RGB order, C 1 for grey and 3 for RGB.

    Raises:
        ImageError: empty, truncated, not an image, too many pixels, or a depth without an agreed range (32-bit).
    """
    return decode_with_facts(source, color=color, max_pixels=max_pixels)[0]


def decode_with_facts(
    source: ImageSource, *, color: Color | None = None, max_pixels: int | None = None
) -> tuple[NDArray[np.uint8], ImageFacts]:
    """As `decode_image`, and what the header said of the upright image."""
    if color not in (None, "grey", "rgb"):
        raise DataError(f"color must be 'grey', 'rgb' or None; received {color!r}")
    with _stream(source) as stream:
        image = _open(stream, max_pixels)
        frames, grey, orientation = _frames(image), _is_grey(image), _orientation(image)
        try:
            image.load()
            pixels = _to_uint8(_upright(image), color or ("grey" if grey else "rgb"))
        except ImageError:
            raise
        except MemoryError as error:  # a damaged part may claim any length
            raise ImageError(
                "the image asks for more memory than there is; it is damaged or too large: replace it"
            ) from error
        except Exception as error:  # Pillow's decoders raise whatever the damaged bytes lead them to
            raise ImageError(f"the image is truncated or damaged ({_short(error)}); replace the file") from error
    return pixels, ImageFacts(pixels.shape[1], pixels.shape[0], 1 if grey else 3, frames, orientation)


def from_pillow(image: Image.Image, *, color: Color | None = None) -> NDArray[np.uint8]:
    """A Pillow image as `decode_image` makes it: upright by its EXIF data, transparent pixels over white, uint8 (H, W, C).

    Raises:
        ImageError: no pixels, damaged, or a depth without an agreed range (32-bit).
    """
    if image.width == 0 or image.height == 0:
        raise ImageError("the image has no pixels")
    try:
        return _to_uint8(_upright(image), color or ("grey" if _is_grey(image) else "rgb"))
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # it may not have been read from its file yet
        raise ImageError(f"the image is truncated or damaged ({_short(error)}); replace it") from error


def to_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """`image` uint8 (..., 1 or 3) with 1 channel, grey as `decode_image` makes it, or 3, RGB; itself where it has them."""
    if image.shape[-1] == channels:
        return image
    return to_grey(image) if channels == 1 else image.repeat(3, axis=-1)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB uint8 (..., 3) to grey (..., 1): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), in the 16-bit integers that Pillow uses."""
    red, green, blue = (image[..., i].astype(np.uint32) for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[..., None]


def _open(stream: BinaryIO, max_pixels: int | None) -> Image.Image:
    from PIL import Image

    most = PIXELS.value if max_pixels is None else max_pixels
    if (
        Image.MAX_IMAGE_PIXELS is not None and most > Image.MAX_IMAGE_PIXELS
    ):  # Pillow has a limit of its own, for the whole process
        Image.MAX_IMAGE_PIXELS = most
    start = stream.read(16)
    if not start:
        raise ImageError("the image file is empty (0 bytes)")
    stream.seek(0)
    avif = start[4:12] in _AVIF
    if avif and not _reads_avif():
        raise ImageError("AVIF, which this Pillow is built without; type: pip install -U pillow, or save it as JPEG")
    if start[4:12] in _HEIF:
        raise ImageError(f"not read: {_HEIC}")
    try:
        image = Image.open(stream, formats=("AVIF",) if avif else _FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"the image has more pixels than the limit of {most:,}; shrink it first, or {PIXELS.remedy}"
        ) from error
    except Exception as error:  # as above: Pillow's header parsers too
        if looks_like_image(start):
            raise ImageError(f"the image's header is damaged ({_short(error)}); replace the file") from error
        raise ImageError(f"not an image (it starts with {start!r}); accepted are {ACCEPTED}") from error
    if image.width * image.height > most:
        raise ImageError(
            f"the image has {image.width} x {image.height} pixels, over the limit of {most:,}; shrink it first, or {PIXELS.remedy}"
        )
    if image.width == 0 or image.height == 0:
        raise ImageError("the image has no pixels; replace the file")
    return image


@cache
def _reads_avif() -> bool:
    """Whether Pillow is of a version, and built, to read AVIF."""
    from PIL import features

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # older ones warn of a feature that they do not know
        return bool(features.check("avif"))


@contextmanager
def _stream(source: ImageSource) -> Iterator[BinaryIO]:
    """`source` as a file that can be sought in."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | Path):
        try:
            file = open_regular(source)
        except FileNotFoundError as error:
            raise ImageError("the image file is missing") from error
        except OSError as error:
            raise ImageError(f"the image file cannot be read ({error.strerror or error})") from error
        with file:
            yield file
    else:
        yield io.BytesIO(source.read())


def _is_grey(image: Image.Image) -> bool:
    return image.mode in _GREY_MODES


def _frames(image: Image.Image) -> int:
    # an MPO holds a second view or a preview of the same photo, not an animation
    if image.format == "MPO":
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except _DAMAGED:  # counting frames walks a file that may be damaged after its first frame
        return 1


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:  # damaged EXIF says nothing about the pixels, which are still good
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image) -> Image.Image:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(1 if image.format == "TIFF" else _orientation(image))
    return image if turn is None else image.transpose(turn)


def _to_uint8(image: Image.Image, color: Color) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode == "F" or (image.mode == "I" and image.format not in ("PPM", "PNG")):
        raise ImageError("the image has 32 bits a channel, for which no range is agreed; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray((np.clip(deep, 0, 65535) >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = _over_white(image)
    mode = "L" if color == "grey" else "RGB"
    pixels: NDArray[Any] = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _over_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    solid = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid).convert("RGB")


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:100] or type(error).__name__
