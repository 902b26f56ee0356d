"""Rules of images by a table or in arrays: the same pixels by every way, bad input named."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectives import check, cnn, datasets, look, own

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
RANDOM = np.random.default_rng(0)
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def pictures(count: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, H, W(, 3)] and labels, sorted: of MNIST where it is at hand, else drawn."""
    file = REAL / "mnist" / "t10k-images-idx3-ubyte.gz"
    if channels == 1 and file.is_file():
        pixels = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16)
        labels = gzip.decompress((file.parent / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
        some = np.frombuffer(labels, np.uint8)[:count].astype(np.int64)
        order = np.argsort(some, kind="stable")
        return pixels.reshape(-1, 28, 28)[:count][order], some[order]
    drawn = RANDOM.integers(0, 256, (count, 32, 32, channels)).astype(np.uint8)
    return drawn.squeeze(), np.arange(count) * 5 // count


def write(rows: Rows, file: str = "table.csv") -> str:
    """A CSV file, and the pictures that it names where they have pixels."""
    names = [name for name in rows[0] if name != "pixels"]
    for row in rows:
        if "pixels" in row:
            path = Path(row["image"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(row["pixels"]))
    with Path(file).open("w", newline="") as opened:
        writer = csv.DictWriter(opened, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return f"csv:{file}"


def small(count: int = 12, **more: Any) -> Rows:
    """Two labels, in turn."""
    drawn = RANDOM.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return [
        {"image": f"{i}.png", "label": "ab"[i % 2], "pixels": drawn[i]}
        | {name: value[i] for name, value in more.items()}
        for i in range(count)
    ]


@pytest.mark.soak
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_pixels_come_by_every_way(channels: int) -> None:
    """Folder, CSV, npz and Parquet of the same pictures have one fingerprint."""
    images, labels = pictures(400, channels)
    given = {"train": slice(0, None, 2), "test": slice(1, None, 2)}
    rows: Rows = []
    arrays = {}
    Path("hub/data").mkdir(parents=True)
    about = {"info": {"features": {"label": {"names": [*map(str, range(10))]}}}}
    for part, some in given.items():
        arrays |= {f"{part}_images": images[some], f"{part}_labels": labels[some][:, None]}
        for i, (pixels, label) in enumerate(zip(images[some], labels[some], strict=True)):
            name = f"all/{part}/{label}/{i:03}.png"
            rows.append({"image": name, "label": label, "split": part, "pixels": pixels})
        held = [{"bytes": png(one), "path": None} for one in images[some]]
        table = pa.table({"image": held, "label": labels[some]})
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
        pq.write_table(table, f"hub/data/{part}-0-of-1.parquet")
    np.savez("all.npz", **arrays)
    ways = [write(rows), "folder:all", "npz:all.npz", "parquet:hub"]
    found = [datasets.describe(way) for way in ways]
    assert len({one["fingerprint"] for one in found}) == 1
    assert len({json.dumps(one["shape"]) for one in found}) == 1
    assert found[0]["n_test"] == 200
    assert len({datasets.load(way).classes for way in ways}) == 1
    assert datasets.load("npz:all.npz", image_size=14).train.images.shape[2:] == (14, 14)


def test_columns_may_be_called_otherwise() -> None:
    """By a setting, which only tables read; a wrong name is told with those that there are."""
    rows = small()
    write(rows)
    table = write([{"file": row["image"], "kind": row["label"]} for row in rows], "other.csv")
    with pytest.raises(ValueError, match="no column image; it has file, kind: set settings"):
        datasets.load(table)
    columns = {"image": "file", "label": "kind"}
    settings: dict[str, Any] = {"dataset": table, "network": "digits_cnn", "columns": columns}
    assert datasets.load(table, columns=columns).classes == ("a", "b")
    assert check.check(settings, {}) == []
    assert cnn.resolve(settings, {})["columns"] == columns
    assert "columns" not in cnn.resolve({"dataset": "digits", "network": "digits_cnn"}, {})
    refused = check.check({**settings, "dataset": "folder:x"}, {})
    assert [path for path, _ in refused] == ["settings.columns"]


@pytest.mark.parametrize(
    ("called", "more", "said", "wanted"),
    [
        ({"image": "image", "label": "label"}, {}, {}, {}),
        ({"image": "file", "label": "kind"}, {}, {}, {"image": "file", "label": "kind"}),
        ({"image": "img", "label": "Species"}, {"age": 7}, {}, {"label": "Species"}),
        ({"image": "at", "label": "kind"}, {"age": 7}, {"label": "kind"}, {"image": "at"}),
    ],
)
def test_a_look_recognises_columns_of_other_names(
    called: dict[str, str], more: dict[str, int], said: dict[str, str], wanted: dict[str, str]
) -> None:
    """A column of files, a name for labels, or all that is left; what is told reads the set."""
    rows = small()
    write(rows)
    named = [{called["image"]: row["image"], called["label"]: row["label"], **more} for row in rows]
    table = write(named, "other.csv")
    assert own.columns_of(table, said) == {**wanted, **said}
    seen = look.look(table, columns=said)
    assert (seen.classes, dict(seen.columns)) == (("a", "b"), {**wanted, **said})
    told = [f"column {name} is the {key}" for key, name in wanted.items() if key not in said]
    assert (", ".join(told) in seen.notes) == bool(told)
    held = [{"bytes": png(row["pixels"]), "path": None} for row in rows]
    columns = {called["image"]: held, called["label"]: [row["label"] for row in rows]}
    columns |= {name: [value] * len(rows) for name, value in more.items()}
    pq.write_table(pa.table(columns), "other.parquet")
    assert look.look("parquet:other.parquet", columns=said).classes == ("a", "b")
    assert own.columns_of("parquet:other.parquet", said) == {**wanted, **said}


def test_a_look_recognises_the_column_of_the_parts() -> None:
    """By its values, in every row: a test set that is given is not drawn once more."""
    rows = small(8)
    write(rows)
    parts = ["Train"] * 6 + ["test"] * 2
    files = [(row["image"], row["label"], part) for row, part in zip(rows, parts, strict=True)]
    table = write([{"file": f, "set": part, "kind": label} for f, label, part in files], "all.csv")
    held = {"file": [png(row["pixels"]) for row in rows], "set": parts}
    pq.write_table(pa.table(held | {"kind": [row["label"] for row in rows]}), "all.parquet")
    for dataset in (table, "parquet:all.parquet"):
        seen = look.look(dataset)
        assert dict(seen.columns) == {"image": "file", "split": "set", "label": "kind"}
        assert seen.counts.sum(0).tolist() == [6, 0, 2]
        assert "column file is the image, column set is the split, column kind is the label" in (
            seen.notes
        )
    write([{"file": f, "set": "dev2" if f == "7.png" else part} for f, _, part in files], "no.csv")
    assert own.columns_of("csv:no.csv", {}) == {"image": "file", "label": "set"}


def test_columns_that_are_in_doubt_are_not_guessed() -> None:
    """Two that may be the label; one that is not there; a name that no table has; no table."""
    rows = small()
    write(rows)
    table = write(
        [{"file": row["image"], "kind": row["label"], "age": 7} for row in rows], "other.csv"
    )
    for columns, message in (
        ({}, r"no column label; it has file, kind, age: set settings.columns: \{label: NAME\}"),
        ({"label": "knd"}, "there is no column knd; .* did you mean kind"),
        ({"lable": "kind"}, "columns: unknown lable; one of: .*; did you mean label"),
    ):
        with pytest.raises(ValueError, match=message):
            look.look(table, columns=columns)
    with pytest.raises(ValueError, match="columns: digits is no table that has some"):
        look.look("digits", columns={"label": "kind"})


def test_groups_are_kept_together() -> None:
    """In the test set that is drawn, and in the validation split of every seed."""
    groups = [f"patient {i // 4}" for i in range(80)]
    table = write(small(80, group=groups))
    sides = [{image.tobytes() for image in datasets.load_test(table).images}]
    for seed in (0, 1):
        data = datasets.load(table, split_seed=seed, validation=0.2)
        for split in (data.train, data.validation):
            sides.append({image.tobytes() for image in split.images})
    by_group: dict[str, set[bytes]] = {}
    for i, group in enumerate(groups):
        pixels = np.asarray(Image.open(f"{i}.png")).transpose(2, 0, 1)
        by_group.setdefault(group, set()).add(np.ascontiguousarray(pixels).tobytes())
    for side in sides:
        assert side
        assert all(images <= side or not images & side for images in by_group.values())
    assert sides[2] != sides[4]


def test_columns_that_are_not_read_are_told_where_nothing_is_kept_together() -> None:
    """One of them may name the patients, whom a split must not part: nobody else can know."""
    rows = small(12, patient=[i // 2 for i in range(12)], age=[7] * 12)
    table = write(rows)
    pq.write_table(
        pa.table(
            {"image": [png(row["pixels"]) for row in rows]}
            | {name: [row[name] for row in rows] for name in ("label", "patient", "age")}
        ),
        "table.parquet",
    )
    said = "2 columns not read (patient, age): where one says what must not be parted, such as"
    for dataset in (table, "parquet:table.parquet"):
        assert said in "\n".join(own.listing(dataset).notes)
        assert "not read" not in "\n".join(own.listing(dataset, {"group": "patient"}).notes)


def test_a_validation_split_is_used_as_it_is() -> None:
    """By the word of a row, as people spell it."""
    table = write(small(12, split=["train"] * 6 + ["Valid"] * 2 + ["test"] * 4))
    about = datasets.describe(table)
    assert (about["n_train"], about["n_validation"], about["n_test"]) == (6, 2, 4)
    assert datasets.resolved_validation(table, None) is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"gone": [1] * 12}, r"12 files of 12 are not there \(0\.png, 1.*4\.png and 7 more\)"),
        (
            {"split": ["train"] * 11 + ["test"], "label": ["a", "b"] * 5 + ["a", "c"]},
            r"1 label \(c",
        ),
        ({"split": ["no"] * 12}, r"line 2: split 'no' is none of train, validation and test"),
        (
            {"split": ["train"] * 6 + ["test"] * 6, "group": ["x"] * 12},
            r"1 group on two sides",
        ),
        ({"label": ["a", ""] * 6}, r"line 3 names no label"),
    ],
)
def test_a_bad_table_is_refused(more: dict[str, Any], message: str) -> None:
    """In one line that names what and how much."""
    rows = small(12, **more)
    for row in rows:
        if "gone" in row:
            del row["pixels"]
    with pytest.raises(ValueError, match=message):
        datasets.load(write(rows))


def test_bad_arrays_are_refused() -> None:
    """No test images, three dimensions, several labels an image: each in its words."""
    images, labels = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2
    good = {"train_images": images, "train_labels": labels}
    good |= {"test_images": images, "test_labels": labels}
    for changed, message in (
        ({"test_images": None}, "there is no array test_images; it has train_images"),
        ({"train_images": np.zeros((6, 8, 8, 8), np.uint8)}, "must be uint8"),
        ({"train_labels": np.zeros((6, 14), int)}, "an image has one label here"),
        ({"test_labels": labels + 1}, "label 2 is in no training image"),
    ):
        arrays = {name: one for name, one in {**good, **changed}.items() if one is not None}
        np.savez("bad.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            datasets.load("npz:bad.npz")
