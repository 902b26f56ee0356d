"""objectives/classifier.py: a saved model predicts of files what evaluation saw of them."""

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from PIL import Image

from objectives import classifier, cnn, datasets, pictures

GOOD = {"lr": 0.05, "momentum": 0.9, "batch_size": 64}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A model of digits, trained for an epoch, where it was trained, and its test pictures."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    settings = {"dataset": "digits", "network": "digits_cnn", "epochs": 1, "normalize": True}
    trial = FixedTrial(GOOD)
    cnn.objective(trial, device="cpu", threads=1, workdir=work, precision="float32", **settings)
    cnn.save(work, out)
    test, files = datasets.load_test("digits"), []
    for row, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        file = out / "test" / str(label) / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(image[0] * (255 / 16)).astype(np.uint8)).save(file)
        files.append(file)
    return classifier.load(out), work, test, files


def test_files_get_the_accuracy_that_evaluate_gives(digits):
    """Of the same pictures, read from PNG; pixels are the same, one by one."""
    model, work, test, files = digits
    read = torch.stack([model.read(file)[0] for file in files])
    assert torch.equal(read, torch.tensor(test.images))
    rows = model.predict(files, top=3)
    hits = [row["class"] == file.parent.name for row, file in zip(rows, files, strict=True)]
    assert np.mean(hits) == pytest.approx(cnn.evaluate(work, "test", "cpu")["accuracy"])
    assert all(row["top"][0]["class"] == row["class"] for row in rows)
    assert all(len(row["top"]) == 3 and row["notes"] == [] for row in rows)


def test_loading_changes_no_random_number(digits):
    """Building the network draws weights that nobody sees."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    classifier.load(digits[3][0].parents[2])
    assert torch.equal(torch.rand(3), expected)


def test_a_model_is_a_module_of_pixels(digits):
    """`forward` gives logits; `probabilities` sum to one; it may be told to train and come back."""
    model, _, _, files = digits
    pixels = model.read(files[0])[0][None]
    assert isinstance(model, torch.nn.Module)
    assert model(pixels).shape == (1, 10)
    assert model.train().probabilities(pixels).sum().item() == pytest.approx(1)
    assert len(model.classes) == 10


def test_a_broken_picture_is_a_row_and_not_the_end(digits, tmp_path):
    """With its reason; what does not claim to be a picture is told apart."""
    model, _, _, files = digits
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:40])
    (tmp_path / "notes.txt").write_text("no picture")
    deep = np.zeros((8, 8), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    names = ["broken.png", "notes.txt", "none.png", "deep.png"]
    *wrong, right = model.predict([*(tmp_path / name for name in names), files[0]])
    assert [row["foreign"] for row in wrong] == [False, True, False, False]
    assert all(row["error"] and "class" not in row for row in wrong)
    assert "save it with 8 bits" in wrong[-1]["error"]
    assert right["class"]


def test_pictures_of_16_bits_are_read_on_the_scale_of_the_training_set(tmp_path):
    """Told by model.json; what is brighter than all of these is told. Without it they are refused,
    as of a model that an earlier version has written."""
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60  # 12 bits
    for part in ("train", "test"):
        for name in ("a", "b"):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(values + i).save(place / f"{i}.png")
    key = {"dataset": f"folder:{tmp_path}", "data_dir": str(tmp_path / "cache")}
    data, stored = datasets.load(**key, validation=0.4), datasets.load_test(**key)
    assert data.bits == 12
    about = {
        "config": {**key, "precision": "float32"},
        "classes": ["a", "b"],
        "input": {"shape": [1, 8, 8], "divide_by": 255.0, "bits": data.bits},
    }
    model = classifier.Classifier(torch.nn.Flatten(), about)
    files = sorted((tmp_path / "test").glob("*/*"))
    assert torch.equal(
        torch.stack([model.read(file)[0] for file in files]), torch.tensor(stored.images)
    )
    Image.fromarray(np.full((8, 8), 2**13, np.uint16)).save(tmp_path / "bright.png")
    pixels, told = model.read(tmp_path / "bright.png")
    assert (pixels.unique().tolist(), told) == ([255], [classifier.BRIGHTER])
    del about["input"]["bits"]
    with pytest.raises(pictures.UnreadableError, match="knows of no such pictures in training"):
        model.read(files[0])


def test_colours_and_sizes_that_the_model_does_not_know_are_converted_and_told(digits, tmp_path):
    """A gray picture saved in colour is the same picture."""
    model, _, _, files = digits
    image = Image.open(files[0])
    image.convert("RGB").save(tmp_path / "colour.png")
    image.resize((24, 16)).save(tmp_path / "large.png")
    plain, colour, large = model.predict(
        [files[0], *map(tmp_path.joinpath, ("colour.png", "large.png"))]
    )
    assert colour["notes"] == [classifier.GRAYED]
    assert colour["probability"] == pytest.approx(plain["probability"])
    assert large["notes"] == [classifier.FITTED]


@pytest.mark.parametrize(
    ("kind", "size", "resize"),
    [("folder", None, None), ("folder", 12, "squash"), ("csv", 12, None), ("csv", 12, "pad")],
)
def test_photos_are_read_as_they_were_decoded_for_training(kind, size, resize, tmp_path):
    """Turned by EXIF, transparent on white, cropped, framed or squashed and scaled: equal
    pixels."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            pixels = rng.integers(0, 256, (16, 24, 4), np.uint8)
            exif = Image.Exif()
            exif[0x0112] = 6
            Image.fromarray(pixels).save(place / "one.png", exif=exif)
            Image.fromarray(pixels[..., :3]).save(place / "two.jpg", exif=exif)
    files = sorted(tmp_path.glob("*/*/*"))
    rows = [f"{file},{file.parts[-2]},{file.parts[-3]}" for file in files]
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(["image,label,split", *rows]))
    place = {"folder": tmp_path, "csv": table}[kind]
    key = {"dataset": f"{kind}:{place}", "image_size": size, "resize": resize}
    stored = datasets.load_test(**key, data_dir=str(tmp_path / "cache"))
    about = {
        "config": {**key, "precision": "float32"},
        "classes": ["a", "b"],
        "input": {"shape": list(stored.images.shape[1:]), "divide_by": 255.0},
    }
    model = classifier.Classifier(torch.nn.Flatten(), about)
    files = sorted((tmp_path / "test").glob("*/*"))
    found = torch.stack([model.read(file)[0] for file in files])
    assert torch.equal(found, torch.tensor(stored.images))


@pytest.mark.parametrize("resize", [None, "crop", "pad", "squash"])
def test_arrays_and_pictures_of_their_shape_become_the_same_square(resize, tmp_path):
    """Of an npz, whose arrays are squashed where nobody says otherwise, as they always were."""
    images = np.random.default_rng(0).integers(0, 256, (12, 10, 16), np.uint8)
    labels = np.arange(12) % 2
    parts = {"train_images": images, "train_labels": labels}
    parts |= {"test_images": images, "test_labels": labels}
    np.savez(tmp_path / "wide.npz", **parts)
    key = {"dataset": f"npz:{tmp_path / 'wide.npz'}", "image_size": 8, "resize": resize}
    stored = datasets.load_test(**key, data_dir=str(tmp_path / "cache")).images
    about = {
        "config": {**key, "precision": "float32"},
        "classes": ["0", "1"],
        "input": {"shape": list(stored.shape[1:]), "divide_by": 255.0},
    }
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    pixels, told = classifier.Classifier(torch.nn.Flatten(), about).read(tmp_path / "a.png")
    assert torch.equal(pixels, torch.tensor(stored[0]))
    assert told == ([classifier.FITTED] if resize == "crop" else [])
    left_out = {None: 0, "squash": 0, "crop": 0, "pad": 3}[resize]
    assert int((stored == 0).all(axis=(0, 1, 3)).sum()) == left_out
    tensor = torch.from_numpy(images[:, None].astype(np.float32))
    if resize is None:
        plain = torch.nn.functional.interpolate(tensor, (8, 8), mode="bilinear", antialias=True)
        assert np.array_equal(plain.round().clamp(0, 255).numpy(), stored)


def test_a_network_of_ones_own_is_looked_for_where_the_model_is_used(tmp_path, monkeypatch):
    """Its file goes along as a copy, which is named and never run unasked; changed code is told."""
    code = """
from torch import nn

def build(classes, shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], WIDTH), nn.ReLU(),
                         nn.Linear(WIDTH, classes))
"""
    for name, width in (("home", 8), ("other", 9), ("away", 0)):
        (tmp_path / name).mkdir()
        if width:
            text = code.replace("WIDTH", str(width))
            (tmp_path / name / "net.py").write_text(text)
    monkeypatch.chdir(tmp_path / "home")
    settings = {"dataset": "digits", "network": "./net.py:build", "epochs": 1}
    trial = FixedTrial({"lr": 0.1})
    cnn.objective(trial, device="cpu", threads=1, workdir=tmp_path / "work", **settings)
    best = tmp_path / "best"
    best.mkdir()
    assert cnn.save(tmp_path / "work", best) == ["model.safetensors", "model.json", "net.py"]
    assert (best / "net.py").read_text() == code.replace("WIDTH", "8")
    pixels = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    known = cnn.load(best).probabilities(pixels)
    monkeypatch.chdir(tmp_path / "away")
    missing = rf"there is no file {tmp_path}/away/net\.py; put it there \({best}/net\.py is a copy"
    with pytest.raises(ValueError, match=missing):
        cnn.load(best)
    (tmp_path / "away" / "net.py").write_bytes((best / "net.py").read_bytes())
    assert torch.equal(cnn.load(best).probabilities(pixels), known)
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(ValueError, match=r"do not fit \./net\.py:build .*build the network that"):
        cnn.load(best)
