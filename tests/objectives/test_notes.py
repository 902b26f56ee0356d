"""Rules of what is told of a folder: all that is broken, unread or double, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives import datasets, decoding, folder, notes, store

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def paint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = RANDOM.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path, format="PNG")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten training and four test images of two classes."""
    root = tmp_path / "my photos"
    for part, count in (("train", 10), ("test", 4)):
        for kind in ("cat", "dog"):
            for i in range(count):
                paint(root / part / kind / f"{i}.png")
    return root


def about(root: Path, **options: object) -> dict[str, object]:
    return datasets.describe(f"folder:{root}", **options)  # type: ignore[arg-type]


def told(root: Path, **options: object) -> str:
    """What is told of the pictures themselves; that there are few is told of each folder here."""
    notes = about(root, **options)["notes"]  # type: ignore[call-overload]
    return "\n".join(note for note in notes if "validation images: one of them is" not in note)


def refused(root: Path, **options: object) -> str:
    with pytest.raises(ValueError, match="folder:") as error:
        about(root, **options)
    return str(error.value)


# Broken files -----------------------------------------------------------------------------------


def break_some(root: Path) -> list[Path]:
    """Names that a shell, a terminal or a careless program would trip over."""
    names = ("train/cat/a b.jpg", "train/dog/it's.png", "train/dog/-rf $HOME.png", "test/cat/ü.jpg")
    names += ("train/cat/0.png", "train/dog/line\nbreak.png", "train/dog/back\\slash'.png")
    for name in names:
        (root / name).write_bytes(b"broken")
    (root / os.fsdecode(b"train/dog/\xff\xfe.png")).write_bytes(b"broken")
    return [*(root / name for name in names), root / os.fsdecode(b"train/dog/\xff\xfe.png")]


def test_all_broken_files_are_told_with_a_command_that_moves_them_away(photos: Path) -> None:
    """Each with its reason; the command can be pasted whatever they are called."""
    broken, message = break_some(photos), refused(photos)
    assert "8 of 35 files cannot be read" in message
    assert "settings.skip_broken: true" in message
    for name in ("train/cat/a b.jpg", "test/cat/ü.jpg", r"line\nbreak", r"\udcff"):
        assert name in message
    message.encode()  # can be printed
    subprocess.run(["bash", "-c", message.splitlines()[-1]], check=True)
    assert not any(file.exists() for file in broken)
    moved = [file for file in (photos.parent / "my photos-broken").rglob("*") if file.is_file()]
    assert len(moved) == 8
    assert about(photos)["n_train"] == 17


def test_twenty_are_shown_and_all_are_moved(photos: Path) -> None:
    """However many there are: a command too long to be pasted is one that runs a file."""
    for i in range(150):
        (photos / "train" / "cat" / f"broken {i}.jpg").write_bytes(b"")
    message = refused(photos)
    assert "150 of 178 files" in message
    assert message.count("is empty") == 20
    assert "... and 130 more" in message
    command = message.splitlines()[-1]
    assert len(command) < 200
    subprocess.run(["bash", "-c", command], check=True)
    Path(command.removeprefix("bash ")).unlink()
    assert about(photos)["n_train"] == 18


def test_broken_files_are_left_out_where_asked(photos: Path) -> None:
    """They are counted, and told; what is left has the fingerprint of itself."""
    whole = about(photos)
    break_some(photos)
    found = about(photos, skip_broken=True)
    assert found["n_skipped"] == 8
    assert "8 of 35 files are broken and left out, such as train/cat/0.png" in told(
        photos, skip_broken=True
    )
    assert found["fingerprint"] != whole["fingerprint"]
    assert found["n_train"] == 17
    test = datasets.load_test(f"folder:{photos}", skip_broken=True)
    assert test.labels.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(ValueError, match="8 of 35 files cannot be read"):
        about(photos)  # what was stored in between does not hide them
    assert about(photos, skip_broken=True) == found
    for file in [
        one for one in photos.rglob("*") if one.is_file() and b"broken" in one.read_bytes()
    ]:
        file.unlink()
    assert about(photos)["fingerprint"] == found["fingerprint"]


def test_images_keep_their_labels_beside_what_is_left_out(photos: Path) -> None:
    """Rows that are left out do not shift others."""
    (photos / "train" / "cat" / "3.png").write_bytes(b"broken")
    (photos / "train" / "dog" / "readme.txt").write_text("no image")
    data = datasets.load(f"folder:{photos}", skip_broken=True, validation=0.2)
    names = [("cat", i) for i in range(10) if i != 3] + [("dog", i) for i in range(10)]
    for image, (kind, i) in zip(data.train.stored, names, strict=True):
        expected = np.asarray(Image.open(photos / "train" / kind / f"{i}.png"))
        np.testing.assert_array_equal(image.transpose(1, 2, 0), expected)
    assert np.bincount([*data.train.labels, *data.validation.labels]).tolist() == [9, 10]


def test_a_class_of_broken_files_is_named(photos: Path) -> None:
    """None can be read though they may be left out; and so where there is no other file at all."""
    for file in (photos / "test" / "dog").iterdir():
        file.write_bytes(b"broken")
    assert "none of the test files of class dog can be read" in refused(photos, skip_broken=True)
    for file in photos.rglob("*.png"):
        file.write_bytes(b"broken")
    assert "28 of 28 files cannot be read" in refused(photos, skip_broken=True)


def test_an_unreadable_file_is_told_with_the_others(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that is missing, here refused to whoever asks."""
    locked = photos / "train" / "cat" / "0.png"
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # root may read anything
        before = open

        def refuse(file: object, *args: object, **options: object) -> object:
            if file == str(locked):
                raise PermissionError(13, "Permission denied")
            return before(file, *args, **options)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", refuse)
    assert "train/cat/0.png: Permission denied" in refused(photos)


def test_what_is_no_image_is_not_called_one(photos: Path) -> None:
    """It is left out, and told by count; a class that holds nothing else is refused."""
    for name in ("readme.txt", "labels.csv", "Makefile"):
        (photos / "train" / "cat" / name).write_text("note")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (photos / "train" / "cat" / name).write_text("litter")
    assert about(photos)["n_train"] == 18
    assert "3 of 31 files are no pictures and left out, such as train/cat/Makefile" in told(photos)
    assert "n_skipped" not in about(photos)
    for file in (photos / "test" / "cat").iterdir():
        file.unlink()
    (photos / "test" / "cat" / "readme.txt").write_text("note")
    assert "none of the test files of class cat can be read as a picture" in refused(photos)


# Equal pictures ---------------------------------------------------------------------------------


def test_equal_pictures_are_told(photos: Path) -> None:
    """Within train, between train and test, under two labels: one line each."""
    for i in range(3):
        shutil.copy(photos / "train/cat/0.png", photos / f"train/cat/copy{i}.png")
        shutil.copy(photos / f"train/dog/{i}.png", photos / f"test/dog/also{i}.png")
    with Image.open(photos / "train/dog/9.png") as image:  # the same pixels, another file
        image.save(photos / "train/cat/other-label.bmp")
    lines = told(photos).splitlines()
    assert len(lines) == 3
    assert "3 of 24 training images are identical to other training images" in lines[0]
    assert "such as train/cat/copy0.png and train/cat/0.png" in lines[0]
    assert "3 of 11 test images are identical to training images" in lines[1]
    assert "1 of 35 images are identical to an image of another class" in lines[2]
    assert "other-label.bmp" in lines[2]


def test_nothing_odd_is_nothing_told(photos: Path) -> None:
    """No notes but that there are few of them, and the facts of before."""
    assert set(about(photos)) == {
        *("name", "fingerprint", "n_train", "n_validation", "n_test", "classes", "shape"),
        *("majority", "notes"),
    }
    assert told(photos) == ""


def test_few_validation_images_are_told_with_what_one_is_worth(photos: Path) -> None:
    """Before anything is trained, and with what to do."""
    assert about(photos)["notes"] == [
        "2 validation images: one of them is 50.0 points, so scores that are close say little; "
        "hold out more (settings.validation), or add images"
    ]


# What is stored ---------------------------------------------------------------------------------


def plain_folder(root: Path) -> Path:
    """Pictures of many kinds that were always read right."""
    random = np.random.default_rng(0)

    def save(name: str, pixels: np.ndarray, mode: str | None = None, **options: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(path, **options)

    def noise() -> np.ndarray:
        return random.integers(0, 256, (7, 9, 3)).astype(np.uint8)

    for place in ("train/Zoo", "train/ape", "test/Zoo", "test/ape"):
        save(f"{place}/a.png", noise())
        save(f"{place}/b.bmp", noise())
        save(f"{place}/c.png", noise(), "RGBA")
        save(f"{place}/d.png", noise(), "L")
        save(f"{place}/e.png", noise(), "1")
        save(f"{place}/f.tiff", noise(), "CMYK")
        save(f"{place}/G.GIF", noise()[..., 0])
        deep = random.integers(0, 65536, (7, 9)).astype(np.uint16) | 0x8000
        save(f"{place}/h.png", deep)
        save(f"{place}/i", noise(), format="PNG")
    return root


@pytest.mark.parametrize(
    ("image_size", "expected"), [(None, "6b9b9b6b2e017aaf"), (4, "f1383c494bb8ecb1")]
)
def test_fingerprints_of_plain_pictures_are_those_of_the_first_version(
    tmp_path: Path, image_size: int | None, expected: str
) -> None:
    """A study that an earlier version made goes on; these were computed by it."""
    root = plain_folder(tmp_path / "photos")
    found = about(root, validation=0.3, image_size=image_size)
    assert found["fingerprint"] == f"sha256:{expected}"
    assert found["n_validation"] == 5


def test_what_an_earlier_version_decoded_is_not_used(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of the decoding is in the key; the old copy goes."""
    with monkeypatch.context() as patch:
        patch.setattr(folder, "VERSION", b"")
        about(photos)
        old = next((cache / store.LAYOUT).glob("folder-*.lock")).with_suffix("")
    calls, decode = [], decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda *a, **o: calls.append(a) or decode(*a, **o))
    about(photos)
    assert len(calls) == 1
    assert not old.exists()


def test_the_stored_copy_remembers_its_notes(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told again without decoding; those of an unread file are as they are today."""
    shutil.copy(photos / "train/cat/0.png", photos / "train/cat/copy.png")
    before = told(photos)
    monkeypatch.setattr(decoding, "decode", lambda *_, **__: pytest.fail("decoded again"))
    assert told(photos) == before != ""
    (photos / "more").mkdir()
    assert "such as more/" in told(photos)


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
@pytest.mark.parametrize(
    "name", ["plain", "a b", "$HOME", "it's", "a\nb", "\udcff", "\\", "-n", "ü"]
)
def test_quoted_names_come_back(name: str) -> None:
    """As bash reads them."""
    command = ["bash", "-c", f"printf %s {notes.quoted(name)}"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == os.fsencode(name)
