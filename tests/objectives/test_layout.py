"""Rules of a folder's layout: what is not read is told, what is there instead is named."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives import datasets, decoding, folder, layout

RANDOM = np.random.default_rng(0)


def paint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (5, 6, 3)).astype(np.uint8)).save(path, format="PNG")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images of two classes in each part."""
    root = tmp_path / "photos"
    for part in ("train", "test"):
        for kind in ("left", "top"):
            for i in range(3):
                paint(root / part / kind / f"{i}.png")
    return root


def notes(root: Path) -> str:
    return "\n".join(folder.listing(str(root)).notes)


def refused(root: Path) -> str:
    with pytest.raises(ValueError, match="folder:") as error:
        folder.listing(str(root))
    return str(error.value)


def test_a_plain_folder_has_nothing_to_tell(photos: Path) -> None:
    """Hidden files and those of file managers are passed over."""
    (photos / "readme.md").write_text("")
    (photos / "train" / "top" / ".DS_Store").write_text("")
    (photos / "train" / "top" / "._0.png").write_text("")
    assert notes(photos) == ""


def test_sub_folders_of_a_class_are_read(photos: Path) -> None:
    """However deep, after the files of the class itself; links to folders are not followed."""
    for i in range(4):
        paint(photos / "train" / "top" / "2024" / "may" / f"{i}.png")
    (photos / "train" / "left" / "dir.jpg").mkdir()
    (photos / "train" / "left" / "up").symlink_to("..")
    found = folder.listing(str(photos))
    names = [file.removeprefix(f"{photos}/train/") for file, label in found.train if label == 1]
    assert names == [
        *(f"top/{i}.png" for i in range(3)),
        *(f"top/2024/may/{i}.png" for i in range(4)),
    ]
    assert found.notes == (
        "4 files of sub-folders of a class read, such as train/top/2024/may/0.png",
        "1 link to a folder within a class not read, such as train/left/up/",
    )


def test_links_to_nowhere_loose_and_hidden_files_are_told(photos: Path) -> None:
    """A line each; pipes are not opened, loops are not followed."""
    (photos / "train" / "left" / "gone.png").symlink_to("/nowhere/x.png")
    (photos / "train" / "left" / "loop.png").symlink_to("loop.png")
    os.mkfifo(photos / "train" / "left" / "pipe.png")
    paint(photos / "loose.png")
    paint(photos / "train" / "loose.png")
    paint(photos / "train" / "top" / ".hidden.png")
    paint(photos / "more" / "top" / "0.png")
    found = notes(photos)
    assert "3 dangling links or other things not read, such as train/left/gone.png" in found
    assert "2 files beside the class folders not read, such as loose.png" in found
    assert "1 hidden picture not read, such as train/top/.hidden.png" in found
    assert "1 folder beside train/ and test/ not read, such as more/" in found
    assert len(folder.listing(str(photos)).train) == 6


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", "#recycle"])
def test_folders_of_other_programs_are_no_classes(photos: Path, name: str) -> None:
    """Empty or full, in one part or both, within a class or beside it; they are told."""
    (photos / "train" / name).mkdir()
    paint(photos / "test" / name / "0.png")
    paint(photos / "test" / "top" / name / "0.png")
    assert folder.listing(str(photos)).classes == ("left", "top")
    assert f"3 hidden or foreign folders not read, such as train/{name}" in notes(photos)


@pytest.mark.parametrize("part", ["train", "test"])
def test_classes_of_one_part_only_are_all_named(photos: Path, part: str) -> None:
    """And the part where they are missing."""
    for kind in ("fox", "owl"):
        paint(photos / part / kind / "0.png")
    other = "test" if part == "train" else "train"
    assert f"classes 'fox', 'owl' are in {part}/ but not in {other}/" in refused(photos)


@pytest.mark.parametrize(("one", "two"), [("Café", "CAFÉ"), ("Café", "Cafe\u0301"), ("a", "a ")])
def test_names_that_look_alike_are_told(photos: Path, one: str, two: str) -> None:
    """Another case, or accents that another system wrote."""
    one, two = unicodedata.normalize("NFC", one), two
    paint(photos / "train" / one / "0.png")
    paint(photos / "test" / two / "0.png")
    assert f"but not in test/ (which has {two!r} instead)" in refused(photos)


def test_names_may_be_anything(tmp_path: Path) -> None:
    """Spaces, other scripts, upper-case suffixes, bytes that are no text."""
    for part in ("train", "test"):
        for kind in ("mit Abstand", "貓", os.fsdecode(b"\xff")):
            paint(tmp_path / part / kind / "bild 1.PNG")
    found = folder.listing(str(tmp_path))
    assert found.classes == ("mit Abstand", "貓", r"\udcff")  # can be printed
    assert len(decoding.decode(found, None).train_labels) == 3


# Which shape it has ----------------------------------------------------------------------------


def test_a_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not there, a file, empty, a loop, a user that is not there."""
    assert "there is no such folder" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert "it is a file" in refused(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "it holds no folders and 0 files" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "labels.csv").touch()
    assert refused(tmp_path / "empty").endswith(f"names them: csv:{tmp_path}/empty/labels.csv")
    (tmp_path / "loop").symlink_to("loop")
    assert "loop" in refused(tmp_path / "loop")
    with pytest.raises(ValueError, match="write the path of a folder"):
        folder.listing("~nobody-of-this-name/photos")


def test_a_link_to_nowhere_in_place_of_a_part_is_named(photos: Path) -> None:
    """With where it leads."""
    shutil.rmtree(photos / "test")
    (photos / "test").symlink_to("/nowhere/test")
    assert "test is a link to /nowhere/test, which is no folder" in refused(photos)


def test_a_class_folder_that_cannot_be_read_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that is missing."""
    before = layout.entries

    def refuse(path: str | Path) -> list[tuple[str, layout.Entry]]:
        if Path(path).name == "top":
            raise PermissionError(13, "Permission denied")
        return before(path)

    monkeypatch.setattr(layout, "entries", refuse)
    assert "train/top/ cannot be read (Permission denied)" in refused(photos)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Train", "Valid", "Test"), ("training", "validation", "testing")],
)
def test_three_parts_are_taken_as_they_are(
    photos: Path, train: str, validation: str, test: str
) -> None:
    """By the names that people use; a given validation set is told, and validates."""
    shutil.copytree(photos / "test", photos / "given")
    for old, new in (("train", train), ("given", validation), ("test", test)):
        (photos / old).rename(photos / f"{new}.")
        (photos / f"{new}.").rename(photos / new)
    found = folder.listing(str(photos))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [6, 6, 6]
    assert f"{validation}/ holds the validation set" in found.notes[0]


@pytest.mark.parametrize("given", [[], ["val"], ["test"]])
def test_what_is_missing_is_drawn_from_train(photos: Path, given: list[str]) -> None:
    """Of each class one at least, the same at every look, and told."""
    for part in {"val", "test"} - set(given):
        shutil.rmtree(photos / part, ignore_errors=True)
    for part in set(given) - {"test"}:
        shutil.copytree(photos / "train", photos / part)
    found = folder.listing(str(photos))
    assert folder.listing(str(photos)) == found
    assert {label for _, label in found.test} == {0, 1}
    assert not {*found.train} & {*found.test}
    told = "no test set is there: 2 of 6 images are set aside as one, once for all"
    assert (told in found.notes) == ("test" not in given)
    assert len(found.validation) == 6 * ("val" in given)


def test_a_folder_a_class_is_a_data_set(photos: Path) -> None:
    """All of it is parted; files beside the classes are told where they are pictures."""
    photos.joinpath("train").rename(photos.parent / "flowers")
    root = photos.parent / "flowers"
    paint(root / "loose.png")
    (root / "readme.md").write_text("")
    for i in range(3):
        (root / "left" / f"{i}.json").write_text("of the picture")
    found = folder.listing(str(root))
    assert found.classes == ("left", "top")
    assert "a folder a class (left, top), all of them training images" in found.notes
    assert "1 file beside the class folders not read, such as loose.png" in found.notes
    pictures = [file for file, _ in found.test if file.endswith(".png")]
    assert len(pictures) == 2  # what lies beside them takes no place of theirs


def test_three_images_of_a_class_are_the_least_of_a_folder_a_class(photos: Path) -> None:
    """To train on, to validate and to test."""
    root = photos.joinpath("train").rename(photos.parent / "flowers")
    (root / "top" / "0.png").unlink()
    assert "class 'top' has 2 training images; three are the least" in refused(root)


def test_a_folder_without_training_images_is_refused(photos: Path) -> None:
    """Which parts are there is named."""
    shutil.rmtree(photos / "train")
    shutil.copytree(photos / "test", photos / "Val")
    assert "there is Val/ and test/, but no train/ in it" in refused(photos)


@pytest.mark.parametrize("depth", ["photos", "a/b"])
def test_one_level_too_deep_is_named(photos: Path, tmp_path: Path, depth: str) -> None:
    """With the folder to use instead."""
    shutil.move(photos, tmp_path / "outer" / depth)
    message = refused(tmp_path / "outer")
    assert f"name that one: folder:{tmp_path / 'outer' / depth}" in message


def test_one_level_too_high_is_named(photos: Path) -> None:
    """PATH/train in place of PATH."""
    assert f"use dataset: folder:{photos}" in refused(photos / "train")


def test_a_part_without_images_of_two_classes_is_refused(photos: Path) -> None:
    """The one that is there is named."""
    shutil.rmtree(photos / "train" / "top")
    assert "train/ holds 1 class folder(s) (left), at least two" in refused(photos)


def test_describe_tells_what_is_not_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of the listing come first."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(photos.parent / "cache"))
    paint(photos / "train" / "loose.png")
    assert "loose.png" in datasets.describe(f"folder:{photos}")["notes"][0]
