"""objectives/convert.py: what is written says the same of pictures, wherever it runs."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from PIL import Image

from objectives import classifier, cnn, convert, datasets

GOOD = {"lr": 0.05, "momentum": 0.9, "batch_size": 64}
BENT = """
import torch
from torch import nn


class Bent(nn.Module):
    def __init__(self, classes, shape):
        super().__init__()
        self.last = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, images):
        return self.last(images.flatten(1)) * {way}


def bent(classes, shape):
    return Bent(classes, shape)
"""


def trained(folder, network="digits_cnn", **values):
    """A model of digits, trained for an epoch and saved."""
    settings = {"dataset": "digits", "network": network, "epochs": 1, "normalize": True}
    settings |= {"precision": "float32", **values}
    cnn.objective(FixedTrial(GOOD), device="cpu", threads=1, workdir=folder / "work", **settings)
    out = folder / "best"
    out.mkdir()
    cnn.save(folder / "work", out)
    return out


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def files(best):
    """Test pictures as files."""
    test, place = datasets.load_test("digits"), best.parent / "pictures"
    place.mkdir()
    for row, image in enumerate(test.images[:40]):
        pixels = np.round(image[0] * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{row:02}.png")
    return sorted(place.iterdir())


def in_onnxruntime(file):
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    about = session.get_modelmeta().custom_metadata_map["model.json"]
    assert [one.name for one in session.get_inputs()] == ["pixels"]
    return lambda pixels: session.run(["probabilities"], {"pixels": pixels})[0], about


def in_torch_export(file):
    extra = {"model.json": ""}
    module = torch.export.load(file, extra_files=extra).module()
    return lambda pixels: module(torch.from_numpy(pixels)).numpy(), extra["model.json"]


def in_torchscript(file):
    extra = {"model.json": ""}
    module = torch.jit.load(file, _extra_files=extra)
    return lambda pixels: module(torch.from_numpy(pixels)).numpy(), extra["model.json"]


ELSEWHERE = {
    "onnx": in_onnxruntime,
    "torch_export": in_torch_export,
    "torchscript": in_torchscript,
}


SOAK = [pytest.mark.soak]  # importing the exporter takes up to ten seconds
SLOW = {"onnx": SOAK, "torch_export": SOAK}


def test_every_format_is_run_elsewhere():
    """A new one has its reader here."""
    assert ELSEWHERE.keys() == convert.FORMATS.keys()


@pytest.mark.parametrize(
    "to", [pytest.param(name, marks=SLOW.get(name, [])) for name in convert.FORMATS]
)
def test_the_file_gives_the_probabilities_that_predict_gives(to, best, files):
    """Any number of pictures at a time; classes, and the way of a picture, stand in it."""
    found = cnn.convert(best, to=to)
    file = best.with_name(best.name + convert.FORMATS[to].suffix)
    assert found["file"] == str(file)
    run, about = ELSEWHERE[to](file)
    told = json.loads(about)
    model = classifier.load(best)
    assert told == {"classes": model.classes, "input": model.about["input"]}
    pixels = torch.stack([model.read(one)[0] for one in files])
    wanted = model.probabilities(pixels).numpy()
    for size in (1, 3, len(files)):
        np.testing.assert_allclose(run(pixels[:size].numpy()), wanted[:size], atol=1e-5)
    takes, within, before, checked = found["told"]
    assert takes == (
        "takes uint8 pixels [N, 1, 8, 8], gives the probabilities of 10 classes [N, 10]"
    )
    assert within == "within: division by 16, normalization, network and softmax, in float32"
    assert before == "before it: values 0 to 16 as [1, 8, 8], channels first"
    assert checked.startswith("checked on 256 validation images in ")
    assert float(checked.rpartition(" ")[2]) < 1e-5


def test_pictures_may_be_given(best, files, tmp_path):
    """What is no picture is passed over, unless there is no other."""
    (tmp_path / "no.png").write_text("none")
    names = [str(tmp_path / "no.png"), *map(str, files)]
    out = tmp_path / "a.pt"
    told = cnn.convert(best, to="torchscript", out=out, files=names)["told"]
    assert told[-1].startswith("checked on 40 pictures in torch ")
    with pytest.raises(ValueError, match=r"none of 1 picture can be read: .*no\.png: holds no png"):
        cnn.convert(best, to="torchscript", out=out, files=names[:1])


def test_a_model_of_fewer_bits_tells_how_far_the_file_is_from_it(best, tmp_path):
    """The file computes in float32, as other programs do."""
    about = json.loads((best / "model.json").read_text())
    model = classifier.load(best)
    about["config"]["precision"] = "bfloat16"
    half = classifier.Classifier(model.network, about)
    pixels = torch.from_numpy(datasets.load_test("digits").images[:64].copy())
    wanted = convert.Portable(half)(pixels)
    assert torch.allclose(wanted, model.probabilities(pixels), atol=1e-6)
    told = list(convert._rounded(wanted, half.probabilities(pixels), half))
    assert len(told) == 1
    assert "the model itself computes in bfloat16: its probabilities differ by up to " in told[0]
    assert "of 64 pictures get another class" in told[0]


@pytest.mark.parametrize(
    ("way", "to", "told"),
    [
        ("(4 if images.shape[0] == 2 else -4)", "torchscript", "differs from the model by"),
        pytest.param(
            *("(4 if images.sum() > 0 else -4)", "torch_export", "cannot be converted"), marks=SOAK
        ),
    ],
)
def test_a_network_that_a_format_does_not_hold_leaves_no_file(way, to, told, tmp_path):
    """One that is bound to the batch that it was traced with; one that goes by its values."""
    file = tmp_path / "net.py"
    file.write_text(BENT.replace("{way}", way))
    best = trained(tmp_path, f"{file}:bent")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"--to {to}: .*{told}"):
        cnn.convert(best, to=to)
    assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_be_done_is_told_before_anything_is(best, monkeypatch):
    """A name with its nearest; a package that is not there; data that is not here."""
    with pytest.raises(ValueError, match=r"--to onxx: one of: onnx, .*did you mean onnx"):
        cnn.convert(best, to="onxx")
    row = dataclasses.replace(convert.FORMATS["onnx"], needs=("onnx", "no_such_package"))
    monkeypatch.setitem(convert.FORMATS, "onnx", row)
    with pytest.raises(ValueError, match=r"needs no_such_package; pip install 'optsearch\[onnx\]'"):
        cnn.convert(best)
    model = classifier.load(best)
    model.about["config"]["dataset"] = "folder:/nowhere"
    with pytest.raises(ValueError, match=r"cannot be read here .*; give pictures to .*--images"):
        convert._validation(model)
