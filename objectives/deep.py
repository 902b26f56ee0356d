"""Pictures of sixteen bits a value: all of them, and their upper eight."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # gray of more than eight bits
SWAPPED = "B" if sys.byteorder == "little" else "L"
OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("L", "B"), ("B", "L"), ("N", SWAPPED))
}  # PIL gives one byte of these, by the order that it is told: how to get the other


def values(image: Image, content: bytes, rawmode: str) -> np.ndarray | None:
    """The values of 16 bits, [H, W] or [H, W, C], where the picture has such.

    Raises ValueError for 32-bit pixels, but for whole numbers that 16 bits hold.
    """
    if image.mode == "F":
        raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
    if image.mode in MODES:
        stored = np.asarray(image)
        if image.mode == "I" and not 0 <= stored.min() <= stored.max() < 2**16:
            raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
        return stored.astype(np.uint16)
    if rawmode in OTHER_BYTE:
        deep: np.ndarray = np.asarray(image).astype(np.uint16) << 8 | _lower_bytes(content)
        return deep
    return None


def rawmode(image: Image) -> str:
    """How the file stores its values, in PIL's words."""
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles else None
    return str(args[0] if isinstance(args, tuple) else args)


def _lower_bytes(content: bytes) -> np.ndarray:
    """The bytes that PIL drops of colours of 16 bits: it is told that they are the upper ones."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        tiles = []
        for tile in image.tile:
            raw = OTHER_BYTE[rawmode(image)]
            args = (raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw
            tiles.append(tile._replace(args=args))
        image.tile = tiles
        return np.asarray(image)


def upper(values: np.ndarray, bits: int, transparent: object) -> Image:
    """The upper eight of the bits in use; alpha uses all. transparent: the value that is.

    What is brighter than these bits tell, in a picture that came later, is as bright as they do.
    """
    from PIL import Image

    eight = (np.minimum(values, 2**bits - 1) >> max(bits - 8, 0)).astype(np.uint8)
    if values.ndim == 3:
        eight[..., 3:] = values[..., 3:] >> 8
    if transparent is not None and values.shape[2:] != (4,):
        through = (values == transparent).reshape(*values.shape[:2], -1).all(2)
        eight = np.dstack([eight, np.where(through, 0, 255).astype(np.uint8)])
    return Image.fromarray(eight)
