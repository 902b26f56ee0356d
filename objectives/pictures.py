"""One picture file, read right: upright, on a white ground, eight bits a channel."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from objectives import deep, resizing

if TYPE_CHECKING:
    from PIL.Image import Image

BACKGROUND = "white"  # what is drawn under transparency
GRAY_MODES = frozenset({"1", "L", "LA", "La", "F", *deep.MODES})
UNMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}
PAGED = frozenset({"GIF", "WEBP", "PNG", "TIFF", "AVIF"})  # formats of several frames or pages
LARGEST_FOREIGN = 2**30  # bytes; a file this long whose name is no picture's is not read
# What a file of pictures may be called. One of another name is tried as well, but called broken
# only where it turns out to be a picture.
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif"),
        *(".tiff", ".webp", ".jp2", ".j2k", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".ico", ".tga", ".psd", ".heic", ".heif", ".hif", ".avif", ".jxl", ".svg", ".exr"),
        *(".hdr", ".dcm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw"),
    }
)


@dataclass(frozen=True)
class Picture:
    """What was read. pixels: uint8 [H, W] or [H, W, 3]; None of 16 bits whose scale is unknown.

    kinds: names of what was done to it, those of `notes.KINDS`.
    """

    pixels: np.ndarray | None
    size: tuple[int, int]  # width and height, upright, before it was scaled
    gray: bool
    kinds: tuple[str, ...] = ()
    largest: int = 0  # of 16-bit values


class ColourError(Exception):
    """A colour image among gray ones."""


class UnreadableError(Exception):
    """Says why a file cannot be read; `foreign` where it does not even claim to be a picture."""

    def __init__(self, reason: str, *, foreign: bool = False) -> None:
        super().__init__(reason)
        self.foreign = foreign


def read(
    file: str,
    channels: int,
    side: int | None = None,
    bits: int | None = None,
    resize: str = "crop",
    contents: Callable[[str], bytes] | None = None,
) -> Picture:
    """Read one file as gray (1 channel) or RGB (3).

    side: of a square that the picture is brought to, by a way of `resizing.WAYS`. bits: how many a
    16-bit value uses, the same for a whole set. contents: gives what lies in no file of its own.
    Raises UnreadableError, ColourError where one channel is not enough, ValueError where memory is
    short.
    """
    from PIL import ImageFile

    content = contents(file) if contents else _content(file)
    if not content:
        raise UnreadableError("is empty", foreign=not (contents or is_picture(file)))
    image = _opened(file, content)
    try:
        with image:
            if channels == 1 and image.mode not in GRAY_MODES:
                raise ColourError
            mode = "L" if channels == 1 else "RGB"
            return _read(image, content, mode, side, bits, resizing.WAYS[resize])
    except ColourError:
        raise
    except MemoryError as error:
        raise ValueError(f"{file}: there is not enough memory to decode it") from error
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        stub = isinstance(image, ImageFile.StubImageFile)  # a format that PIL only knows by name
        raise UnreadableError(_first_line(error), foreign=stub and not is_picture(file)) from error


def is_picture(file: str) -> bool:
    """Whether a file is called as pictures are."""
    return Path(file).suffix.lower() in SUFFIXES


def _content(file: str) -> bytes:
    """A file, whole: PIL's many small reads and seeks cost more than decoding a small image."""
    try:
        with open(file, "rb", buffering=0) as whole:  # noqa: PTH123 - a Path costs a fifth more
            if os.fstat(whole.fileno()).st_size > LARGEST_FOREIGN and not is_picture(file):
                raise UnreadableError("is no picture", foreign=True)
            content: bytes = whole.read()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    return content


def _opened(file: str, content: bytes) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        raise UnreadableError(_unknown(file, content), foreign=not is_picture(file)) from error
    except Exception as error:
        raise UnreadableError(_first_line(error)) from error


def _unknown(file: str, content: bytes) -> str:
    """What to say of content that no reader takes."""
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is HEIC, which there is no reader for here; save it as JPEG or PNG"
    name = Path(file).suffix.lower().removeprefix(".")
    return f"holds no {name} and no other picture that can be read here"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _read(
    image: Image,
    content: bytes,
    mode: str,
    side: int | None,
    bits: int | None,
    way: resizing.Way,
) -> Picture:
    gray, whole, rawmode = image.mode in GRAY_MODES, image.size, deep.rawmode(image)
    is_stored_turned = image.format == "TIFF" and _orientation(image) > 1
    # A large JPEG is shrunk while it is decoded.
    is_shrunk = side is not None and image.draft(None, (side, side)) is not None
    image.load()
    orientation = _orientation(image)  # after loading: PIL turns a TIFF by itself, and says so
    size = whole if is_shrunk else image.size
    size = size[::-1] if orientation >= 5 else size
    values = deep.values(image, content, rawmode)
    largest = 0 if values is None else int(values.reshape(*image.size, -1)[..., :3].max())
    if values is not None and bits is None:
        return Picture(None, size, gray, (), largest)
    flat = (
        image if values is None else deep.upper(values, bits or 16, image.info.get("transparency"))
    )
    flat, is_transparent = _on_ground(flat)
    flat = _turned(_in_srgb(flat).convert(mode), orientation)
    flat = way.picture(flat, (side, side)) if side else flat
    kinds = {
        "turned": is_stored_turned or orientation > 1,
        "transparent": is_transparent,
        "paged": _is_paged(image),
        "print": image.mode == "CMYK",
        "cut": values is None and ";16" in rawmode,
    }
    done = tuple(name for name, is_so in kinds.items() if is_so)
    return Picture(np.asarray(flat), size, gray, done, largest)


def _turned(image: Image, orientation: int) -> Image:
    """Upright."""
    from PIL import Image

    return image.transpose(Image.Transpose[TURNS[orientation]]) if orientation in TURNS else image


# How a picture is turned that a camera stored on its side, by its EXIF orientation.
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


TURNING = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # what may tell of it


def _orientation(image: Image) -> int:
    """1 to 8, as in EXIF; 1 is upright, and so is what cannot be read."""
    if image.format != "TIFF" and image.info.keys().isdisjoint(TURNING):
        return 1
    with suppress(Exception):  # EXIF is broken in as many ways as there are cameras
        found = image.getexif().get(0x0112, 1)
        return found if found in TURNS else 1
    return 1


def _is_paged(image: Image) -> bool:
    with suppress(Exception):  # a later page may be broken
        return image.format in PAGED and bool(getattr(image, "is_animated", False))
    return False


# Colours ----------------------------------------------------------------------------------------


def _on_ground(image: Image) -> tuple[Image, bool]:
    """The picture without transparency, and whether it had any."""
    from PIL import Image

    alpha = any(band in "Aa" for band in image.getbands()) and image.mode != "LAB"
    palette = image.mode == "P" and image.palette is not None and "A" in image.palette.mode
    if not (alpha or palette or "transparency" in image.info):
        return image, False
    whole = image.convert(UNMULTIPLIED.get(image.mode, image.mode)).convert("RGBA")
    if whole.getchannel("A").getextrema() == (255, 255):
        return whole, False
    return Image.alpha_composite(Image.new("RGBA", whole.size, BACKGROUND), whole), True


def _in_srgb(image: Image) -> Image:
    """LAB through a colour profile, which PIL asks for; all else it converts by itself."""
    if image.mode != "LAB":
        return image
    from PIL import ImageCms

    profiles = (ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert converted is not None
    return converted
