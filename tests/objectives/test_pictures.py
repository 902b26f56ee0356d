"""Rules of one picture: it is seen as people see it, or it is told what was done."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from objectives import datasets, notes, pictures

RANDOM = np.random.default_rng(0)
UPRIGHT = RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8)
# How a camera stores what is upright, by EXIF orientation: the inverse of what turns it.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))


def pixels(file: Path, channels: int = 3, **options: int) -> np.ndarray:
    found = pictures.read(str(file), channels, **options).pixels
    assert found is not None
    return found


def fill(root: Path, count: int = 4) -> Path:
    """Two classes of random colour images."""
    for part in ("train", "test"):
        for kind in "ab":
            (root / part / kind).mkdir(parents=True)
            for i in range(count):
                noise = RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8)
                Image.fromarray(noise).save(root / part / kind / f"{i}.png")
    return root


def told(root: Path, **options: object) -> list[str]:
    notes: list[str] = datasets.describe(f"folder:{root}", **options).get("notes", [])  # type: ignore[arg-type]
    return notes


# Orientation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, form: str) -> None:
    """All eight orientations, in every format that keeps EXIF; the size is the upright one."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    options = {"lossless": True} if form == "webp" else {}
    stored.save(tmp_path / f"a.{form}", exif=exif, **options)
    found = pictures.read(str(tmp_path / f"a.{form}"), 3)
    np.testing.assert_array_equal(found.pixels, UPRIGHT)
    assert found.size == (9, 6)
    assert found.kinds == (() if orientation == 1 else ("turned",))


@pytest.mark.parametrize("side", [None, 16])
def test_a_large_jpeg_on_its_side_is_turned(tmp_path: Path, side: int | None) -> None:
    """Also where it is shrunk while it is decoded; its size is that of the whole, upright."""
    bright_top = np.full((200, 300, 3), 20, np.uint8)
    bright_top[:100] = 220
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(bright_top, 1).copy()).save(tmp_path / "a.jpg", exif=exif)
    found = pictures.read(str(tmp_path / "a.jpg"), 3, side)
    assert found.pixels is not None
    assert found.size == (300, 200)
    half = len(found.pixels) // 2
    assert found.pixels[:half].mean() > 190 > 60 > found.pixels[half:].mean()


def test_gray_and_transparent_photos_are_turned(tmp_path: Path) -> None:
    """Whatever the mode: 8 and 16 bits of gray, palettes, RGBA."""
    exif = Image.Exif()
    exif[0x0112] = 3
    gray = UPRIGHT[:, :, 0]
    Image.fromarray(gray[::-1, ::-1].copy()).save(tmp_path / "l.png", exif=exif)
    deep = gray.astype(np.uint16) << 8
    Image.fromarray(deep[::-1, ::-1].copy()).save(tmp_path / "i.png", exif=exif)
    turned = np.ascontiguousarray(UPRIGHT[::-1, ::-1])
    Image.fromarray(turned).convert("RGBA").save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels(tmp_path / "l.png", 1), gray)
    np.testing.assert_array_equal(pixels(tmp_path / "i.png", 1, bits=16), gray)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), UPRIGHT)


def test_broken_exif_does_not_break_a_picture(tmp_path: Path) -> None:
    """Nonsense in it, or an orientation that does not exist: as it is stored."""
    Image.fromarray(UPRIGHT).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    exif = Image.Exif()
    exif[0x0112] = 77
    Image.fromarray(UPRIGHT).save(tmp_path / "b.png", exif=exif)
    for name in "ab":
        np.testing.assert_array_equal(pixels(tmp_path / f"{name}.png"), UPRIGHT)


# Transparency -----------------------------------------------------------------------------------

CLEAR = [255, 255, 255]


@pytest.mark.parametrize("form", ["png", "webp", "tiff"])
def test_transparent_colours_are_drawn_on_white(tmp_path: Path, form: str) -> None:
    """What lies under it does not show; half of it shows by half."""
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0], rgba[0, 1], rgba[1, 0] = (9, 8, 7, 255), (9, 8, 7, 0), (55, 55, 55, 128)
    options = {"lossless": True} if form == "webp" else {}
    Image.fromarray(rgba).save(tmp_path / f"a.{form}", **options)
    found = pictures.read(str(tmp_path / f"a.{form}"), 3)
    assert found.pixels is not None
    assert found.pixels[0].tolist() == [[9, 8, 7], CLEAR]
    assert found.pixels[1, 0].tolist() == pytest.approx([155] * 3, abs=1)
    assert found.kinds == ("transparent",)


def test_transparency_of_every_mode_is_drawn_on_white(tmp_path: Path) -> None:
    """Gray with alpha, palettes, one colour of gray, RGB and 16 bits, 1 bit, alpha that is
    multiplied in, GIF."""
    la = np.array([[[9, 255], [9, 0]]], np.uint8)
    Image.fromarray(la).save(tmp_path / "la.png")
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([9, 9, 9, 1, 2, 3])
    palette.save(tmp_path / "p.png", transparency=1)
    palette.save(tmp_path / "bytes.png", transparency=b"\xff\x00")
    palette.save(tmp_path / "p.gif", transparency=1)
    gray = np.array([[9, 77]], np.uint8)
    Image.fromarray(gray).save(tmp_path / "l.png", transparency=77)
    rgb = np.array([[[9, 9, 9], [1, 2, 3]]], np.uint8)
    Image.fromarray(rgb).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    deep = np.array([[9 << 8, 77]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png", transparency=77)
    multiplied = Image.fromarray(np.array([[[9, 9, 9, 255], [0, 0, 0, 0]]], np.uint8), "RGBA")
    multiplied.save(tmp_path / "a.tiff", tiffinfo={338: 1})  # alpha is multiplied in
    files = sorted(tmp_path.glob("*.*"))
    assert len(files) == 8
    for file in files:
        found = pictures.read(str(file), 3, bits=16)
        assert found.pixels is not None
        assert found.pixels.reshape(-1, 3).tolist() == [[9, 9, 9], CLEAR], file.name
        assert "transparent" in found.kinds
    for name in ("la.png", "l.png", "deep.png"):
        found = pictures.read(str(tmp_path / name), 1, bits=16)
        assert found.pixels is not None
        assert found.pixels.ravel().tolist() == [9, 255]


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    """The pixels are those of before, and nothing is told."""
    Image.fromarray(UPRIGHT).convert("RGBA").save(tmp_path / "a.png")
    found = pictures.read(str(tmp_path / "a.png"), 3)
    np.testing.assert_array_equal(found.pixels, UPRIGHT)
    assert found.kinds == ()


# Bits -------------------------------------------------------------------------------------------


def deep_folder(root: Path, top: int, form: str = "png") -> Path:
    for part in ("train", "test"):
        for kind in "ab":
            (root / part / kind).mkdir(parents=True)
            for i in range(4):
                values = RANDOM.integers(0, top // 2, (6, 9)).astype(np.uint16)
                if (part, kind, i) == ("train", "b", 3):
                    values[0, 0] = top
                Image.fromarray(values).save(root / part / kind / f"{i}.{form}")
    return root


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_sixteen_bits_are_scaled_by_what_the_set_uses(tmp_path: Path, bits: int, form: str) -> None:
    """One scale for all, told; 16 bits as ever by their upper byte."""
    root = deep_folder(tmp_path / "photos", (1 << bits) - 1, form)
    images = datasets.load(f"folder:{root}", validation=0.25).train.stored
    assert images.shape[1] == 1
    assert images.max() == 255
    first = np.asarray(Image.open(root / "train" / "a" / f"0.{form}"))
    np.testing.assert_array_equal(images[0, 0], first >> (bits - 8))
    assert any(f"as {bits} bits, on one scale" in line for line in told(root))


def test_big_endian_and_pgm_values_are_read(tmp_path: Path) -> None:
    """I;16B of a TIFF from elsewhere; a PGM's 16 bits come as whole numbers of 32."""
    values = np.array([[0x1234, 0xFFFF]], ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + values.tobytes())
    Image.frombytes("I;16B", (2, 1), values.tobytes()).save(tmp_path / "b.tiff")
    for name in ("a.pgm", "b.tiff"):
        assert pixels(tmp_path / name, 1, bits=16).tolist() == [[0x12, 0xFF]]


def png(values: np.ndarray, colour_type: int) -> bytes:
    """A PNG of 16 bits a channel, which PIL cannot write. values: [H, W, C]."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [12, 16])
def test_colours_of_sixteen_bits_are_scaled_too(tmp_path: Path, bits: int) -> None:
    """RGB and RGBA; alpha uses all its bits whatever the colours do. A set is one gray or RGB."""
    values = RANDOM.integers(0, 1 << bits, (6, 9, 3)).astype(np.uint16)
    expected = (values >> (bits - 8)).astype(np.uint8)
    alpha = np.full((6, 9, 1), 65535, np.uint16)
    (tmp_path / "rgb.png").write_bytes(png(values, 2))
    (tmp_path / "rgba.png").write_bytes(png(np.concatenate([values, alpha], 2), 6))
    for name in ("rgb", "rgba"):
        np.testing.assert_array_equal(pixels(tmp_path / f"{name}.png", bits=bits), expected)
    assert pictures.read(str(tmp_path / "rgba.png"), 3).largest == values.max()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("transparent", [False, True])
def test_tiff_colours_of_sixteen_bits_are_scaled_too(
    tmp_path: Path, order: str, transparent: bool
) -> None:
    """Of either byte order, with alpha or without."""
    values = RANDOM.integers(0, 4096, (6, 9, 3 + transparent)).astype(np.uint16)
    if transparent:
        values[..., 3] = 65535
    (tmp_path / "a.tiff").write_bytes(tiff(values, order))
    assert pictures.read(str(tmp_path / "a.tiff"), 3).largest == values[..., :3].max()
    found = pictures.read(str(tmp_path / "a.tiff"), 3, bits=12)
    np.testing.assert_array_equal(found.pixels, values[..., :3] >> 4)
    assert found.kinds == ()


def tiff(values: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF of 16 bits a channel, which PIL cannot write. values: [H, W, C]."""
    height, width, channels = values.shape
    start, bits = 8 + 2 + 12 * 10 + 4, struct.pack(f"{order}{channels}H", *[16] * channels)
    data = values.astype(f"{order}u2").tobytes()
    rows = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, start), (259, 3, 1, 1)]
    rows += [(262, 3, 1, 2), (273, 4, 1, start + len(bits)), (277, 3, 1, channels)]
    rows += [(278, 4, 1, height), (279, 4, 1, len(data)), (338, 3, channels - 3, 2)]
    rows = [row for row in rows if row[2]]
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    head += struct.pack(f"{order}H", len(rows))
    for tag, kind, count, value in rows:
        short = kind == 3 and count == 1
        head += struct.pack(f"{order}HHI", tag, kind, count)
        head += struct.pack(f"{order}HH" if short else f"{order}I", *[value, 0][: 1 + short])
    return (head + bytes(4)).ljust(start, b"\0") + bits + data


def test_cut_values_are_told(tmp_path: Path) -> None:
    """Gray with alpha of 16 bits, of which PIL gives the upper half alone."""
    values = np.full((6, 9, 2), 40_000, np.uint16)
    (tmp_path / "la.png").write_bytes(png(values, 4))
    assert "cut" in pictures.read(str(tmp_path / "la.png"), 3).kinds


def test_32_bit_whole_numbers_need_to_fit_16(tmp_path: Path) -> None:
    """Larger or negative ones have no known range."""
    for value in (70_000, -1):
        Image.fromarray(np.array([[value]], np.int32)).save(tmp_path / "a.tiff")
        with pytest.raises(pictures.UnreadableError, match="32-bit pixels have no known range"):
            pictures.read(str(tmp_path / "a.tiff"), 1)


# Colours and pages ------------------------------------------------------------------------------


def test_other_colours_become_rgb(tmp_path: Path) -> None:
    """CMYK, told; palettes; one bit; LAB through a profile; YCbCr."""
    red = Image.new("RGB", (4, 4), (200, 30, 40))
    red.convert("CMYK").save(tmp_path / "cmyk.tiff")
    red.convert("P").save(tmp_path / "p.png")
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    lab = ImageCms.profileToProfile(red, *profiles, outputMode="LAB")
    assert lab is not None
    lab.save(tmp_path / "lab.tiff")
    red.convert("YCbCr").save(tmp_path / "ycbcr.tiff")
    Image.new("1", (4, 4), 1).save(tmp_path / "bit.png")
    for name in ("cmyk.tiff", "p.png", "lab.tiff", "ycbcr.tiff"):
        assert pixels(tmp_path / name)[0, 0].tolist() == pytest.approx([200, 30, 40], abs=26), name
    assert pixels(tmp_path / "bit.png", 1)[0, 0] == 255
    assert pictures.read(str(tmp_path / "cmyk.tiff"), 3).kinds == ("print",)


@pytest.mark.parametrize("form", ["gif", "webp", "png", "tiff"])
def test_of_several_pages_the_first_is_read_and_that_is_told(tmp_path: Path, form: str) -> None:
    """Animations and TIFFs of many pages."""
    root = fill(tmp_path / "photos")
    pages = [Image.new("RGB", (9, 6), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    pages[0].save(root / "train" / "a" / f"9.{form}", save_all=True, append_images=pages[1:])
    images = datasets.load(f"folder:{root}", validation=0.25).train.stored
    assert images[4, :, 3, 3].tolist() == pytest.approx([250, 0, 0], abs=9)
    assert [line for line in told(root) if f"the first is read, such as train/a/9.{form}" in line]


def test_what_was_done_is_told_with_counts_and_an_example(tmp_path: Path) -> None:
    """A line for each kind."""
    root = fill(tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(UPRIGHT).save(root / "train" / "a" / "1.png", exif=exif)
    Image.fromarray(UPRIGHT).save(root / "train" / "b" / "1.png", exif=exif)
    Image.new("RGBA", (9, 6), (1, 2, 3, 4)).save(root / "test" / "b" / "1.png")
    lines = "\n".join(told(root))
    assert "2 of 16 images are turned upright" in lines
    assert "such as train/a/1.png" in lines
    assert "1 of 16 images are transparent in places, and drawn on white" in lines


def test_what_cropping_costs_is_told(tmp_path: Path) -> None:
    """How many lose more than a quarter of their area, with an example; not at their own size."""
    root = tmp_path / "photos"
    for part in ("train", "test"):
        for kind, size in (("a", (256, 32)), ("b", (40, 32))):
            (root / part / kind).mkdir(parents=True)
            for i in range(3):
                noise = RANDOM.integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
                Image.fromarray(noise).save(root / part / kind / f"{i}.png")
    lines = told(root, image_size=32)
    assert [line for line in lines if "6 of 12 images lose more than a quarter" in line]
    assert "(256x32 loses 88%)" in lines[0]
    assert not notes.loses_much(40, 32)


def test_a_photo_on_its_side_loses_what_it_loses_upright(tmp_path: Path) -> None:
    """Also where a large JPEG is shrunk first."""
    Image.new("RGB", (800, 200)).save(tmp_path / "a.jpg")
    assert pictures.read(str(tmp_path / "a.jpg"), 3, 16).size == (800, 200)


# Files that are not what they are called --------------------------------------------------------


def test_a_suffix_that_lies_is_no_obstacle(tmp_path: Path) -> None:
    """Files are known by what they hold; no suffix, upper case, another format."""
    for name in ("a.jpg", "b", "C.PNG", "d.heic", "e.txt"):
        Image.fromarray(UPRIGHT).save(tmp_path / name, format="PNG")
        np.testing.assert_array_equal(pixels(tmp_path / name), UPRIGHT)


@pytest.mark.parametrize(
    ("name", "content", "foreign", "reason"),
    [
        ("a.jpg", b"", False, "is empty"),
        ("a.JPG", b"<html>", False, "holds no jpg and no other picture"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0", False, "HEIC, which there is no reader for"),
        ("readme.txt", b"hello", True, "holds no txt"),
        ("labels.csv", b"", True, "is empty"),
        ("data.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), True, "."),
        ("noname", b"\0\1\2\3", True, "picture"),
    ],
)
def test_why_a_file_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, foreign: bool, reason: str
) -> None:
    """Broken is what is called a picture, or is one; all else is foreign."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(pictures.UnreadableError, match=reason) as found:
        pictures.read(str(tmp_path / name), 3)
    assert found.value.foreign == foreign
    assert "0x" not in str(found.value)


def test_a_bomb_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of more pixels than PIL takes."""
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(pictures.UnreadableError, match="1600 pixels"):
        pictures.read(str(tmp_path / "a.png"), 1)


def test_a_short_memory_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the decoding: another run on the same files must not find fewer images."""

    def full(*_: object) -> None:
        raise MemoryError

    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "_read", full)
    with pytest.raises(ValueError, match="not enough memory"):
        pictures.read(str(tmp_path / "a.png"), 1)


# Squares ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(9, 6), (6, 9), (40, 30), (31, 100), (1, 99), (8, 8)])
def test_a_picture_becomes_square_as_pil_says(tmp_path: Path, size: tuple[int, int]) -> None:
    """crop is ImageOps.fit, pad ImageOps.pad, squash resize; crop is what nobody asked for."""
    image = Image.fromarray(RANDOM.integers(0, 256, (*size, 3)).astype(np.uint8))
    image.save(tmp_path / "a.png")
    bilinear = Image.Resampling.BILINEAR
    wanted = {
        "crop": ImageOps.fit(image, (8, 8), bilinear),
        "squash": image.resize((8, 8), bilinear),
    }
    if min(size) > 1:  # of less than half a pixel PIL makes none
        wanted["pad"] = ImageOps.pad(image, (8, 8), bilinear)
    for way, square in wanted.items():
        found = pictures.read(str(tmp_path / "a.png"), 3, 8, resize=way).pixels
        assert np.array_equal(np.asarray(square), found)
    assert np.array_equal(pixels(tmp_path / "a.png", side=8), np.asarray(wanted["crop"]))
    assert pictures.read(str(tmp_path / "a.png"), 3, 8, resize="pad").pixels is not None


def test_what_is_far_from_square_is_told_by_what_becomes_of_it(tmp_path: Path) -> None:
    """Each way has pixels, a fingerprint and a line of its own; all three are kept."""
    root = fill(tmp_path / "photos")
    wide = RANDOM.integers(0, 256, (6, 24, 3)).astype(np.uint8)
    Image.fromarray(wide).save(root / "train/a/0.png")
    found = {
        way: datasets.describe(f"folder:{root}", image_size=8, resize=way)
        for way in (None, "crop", "pad", "squash")
    }
    lines = {way: " ".join(about["notes"]) for way, about in found.items()}
    assert "16 of 16 images lose more than a quarter of their area" in lines["crop"]
    assert "(24x6 loses 75%); resize: pad or squash would keep all" in lines[None]
    assert "16 of 16 images leave more than a quarter of their square black" in lines["pad"]
    assert "16 of 16 images are squashed, such as train/a/0.png (24x6 by 4.0)" in lines["squash"]
    assert found[None] == found["crop"]
    assert len({about["fingerprint"] for about in found.values()}) == 3
    assert len([*(tmp_path / "cache").glob("*/folder-*-8-*/meta.json")]) == 3
