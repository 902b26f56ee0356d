"""objectives/sheet.py: what is found in some data, and a picture of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives import cnn, datasets, look, sheet

PITCH = sheet.SIDE + 3 * sheet.GAP  # pixels from one row to the next


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Red and blue pictures, the blue ones fewer; a copy under the other class, a broken one."""
    root, drawn = tmp_path / "photos", np.random.default_rng(0)
    for kind, count, channel in (("red", 20, 0), ("blue", 9, 2)):
        (root / kind).mkdir(parents=True)
        for i in range(count):
            pixels = np.zeros((20, 30, 3), np.uint8)
            pixels[..., channel] = drawn.integers(200, 256, (20, 30))
            Image.fromarray(pixels).save(root / kind / f"{i:02}.png")
    (root / "blue" / "10.png").write_bytes((root / "red" / "00.png").read_bytes())
    (root / "red" / "20.png").write_bytes(b"broken")
    return root


def test_a_data_set_is_told_in_plain_values(photos: Path) -> None:
    """Counts by class and part, what is broken, what is odd."""
    found = cnn.inspect("photos/", Path("sheet.png"))
    assert found["dataset"] == "folder:photos"
    assert found["parts"] == ["train", "test"]
    assert {name: sum(row.values()) for name, row in found["classes"].items()} == {
        "blue": 10,
        "red": 20,
    }
    assert list(found["broken"]) == ["red/20.png"]
    told = "\n".join(found["told"])
    assert "identical to an image of another class" in told
    assert "1 of 31 files are broken and left out" in told
    assert "are far from square" in told


def test_the_sheet_has_a_row_of_images_for_each_class(photos: Path) -> None:
    """In their colours, where the layout says, on white; nothing is cut off at the right."""
    cnn.inspect("photos", Path("sheet.png"))
    picture = np.asarray(Image.open("sheet.png").convert("RGB")).astype(int)
    height, width = picture.shape[:2]
    assert width == 2 * sheet.MARGIN + sheet.NAMES + sheet.COLUMNS * (sheet.SIDE + sheet.GAP) - 4
    top = sheet.MARGIN + sheet.HEAD + sheet.SIDE // 2
    left = sheet.MARGIN + sheet.NAMES + sheet.SIDE // 2
    blue, red = picture[top, left], picture[top + PITCH, left]
    assert blue.argmax() == 2
    assert blue[0] < 60
    assert red.argmax() == 0
    assert red[2] < 60
    assert (picture[:, -sheet.MARGIN + 1 :] == 255).all()
    assert (picture[-4:] == 255).all()
    assert height > top + 2 * PITCH


@pytest.mark.parametrize(("resize", "black"), [(None, 0), ("crop", 0), ("squash", 0), ("pad", 21)])
def test_the_sheet_shows_pictures_as_the_network_would_get_them(
    photos: Path, resize: str | None, black: int
) -> None:
    """Of 20 x 30 pixels pad leaves a third of the square black; arrays likewise."""
    seen = look.look("folder:photos", resize=resize)
    assert int((seen.images[-1] == 0).all(axis=(0, 2)).sum()) == black
    arrays = np.full((6, 20, 30), 200, np.uint8)
    labels = np.arange(6) % 2
    parts = {f"{part}_images": arrays for part in ("train", "test")}
    np.savez("a.npz", **parts, train_labels=labels, test_labels=labels)
    seen = look.look("npz:a.npz", resize=resize)
    assert seen.images.shape[2:] == ((look.SIDE, look.SIDE) if resize else (20, 30))
    assert int((seen.images[0, 0] == 0).all(axis=1).sum()) == (21 if resize == "pad" else 0)
    with pytest.raises(ValueError, match="did you mean squash"):
        cnn.inspect("photos", Path("sheet.png"), resize="squish")


def test_a_named_set_and_arrays_are_looked_at_likewise(tmp_path: Path) -> None:
    """Copies too; the images that a study would draw to validate are training images here."""
    drawn = np.random.default_rng(0).integers(0, 256, (60, 12, 12), np.uint8)
    labels = np.arange(60) % 3
    drawn[50] = drawn[2]
    drawn[59] = 7
    arrays = {"train_images": drawn[:40], "train_labels": labels[:40]}
    arrays |= {"val_images": drawn[40:45], "val_labels": labels[40:45]}
    arrays |= {"test_images": drawn[45:], "test_labels": labels[45:]}
    np.savez(tmp_path / "a.npz", **arrays)
    seen = look.look("npz:a.npz")
    assert seen.counts.sum(0).tolist() == [40, 5, 15]
    told = "\n".join(seen.notes)
    assert "1 of 15 test images are identical to training images, such as test 5 and " in told
    assert "1 of 60 images are of one colour all over, such as test 14" in told
    assert datasets.describe("npz:a.npz")["notes"][:2] == seen.notes  # once, and by run
    digits = look.look("digits")
    assert digits.counts.sum(0).tolist() == [1527, 0, 270]


@pytest.mark.soak
def test_long_names_and_many_classes_stay_within_the_sheet() -> None:
    """A name is cut, classes beyond a hundred are counted."""
    names = tuple("a class whose name is far too long for its place" for _ in range(103))
    images = np.full((103, 1, 8, 8), 200, np.uint8)
    parts, sizes = np.zeros(103, np.int64), np.full((103, 2), 8)
    labels = np.arange(103)
    about = ([f"train {i}" for i in labels], {}, ["one line " * 40])
    seen = look.Look("npz:many.npz", names, images, labels, parts, sizes, *about)
    Path("many.png").write_bytes(sheet.drawn(seen))
    picture = np.asarray(Image.open("many.png").convert("L"))
    assert (sheet.MARGIN + sheet.HEAD + 100 * PITCH) < len(picture) < 102 * PITCH + 300
    gap = sheet.MARGIN + sheet.NAMES - 2 * sheet.GAP
    rows = picture[sheet.MARGIN + sheet.HEAD : sheet.MARGIN + sheet.HEAD + sheet.SIDE]
    assert (rows[:, gap : gap + sheet.GAP] == 255).all()
