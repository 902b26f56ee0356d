"""objectives/portable.py: a model to take away, read back only where nothing of it has changed."""

import io
import json
import pickle

import numpy as np
import optuna
import pytest
import safetensors
import safetensors.torch
import torch
from optuna.trial import FixedTrial

from objectives import cnn, datasets, networks, portable

SETTINGS = {"dataset": "digits", "network": "digits_cnn", "epochs": 1, "precision": "float32"}
GOOD = {"lr": 0.05, "momentum": 0.9, "batch_size": 64}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model, trained for an epoch on normalized images, and where it was saved."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    settings = {**SETTINGS, "normalize": True}
    cnn.objective(FixedTrial(GOOD), device="cpu", threads=1, workdir=work, **settings)
    assert cnn.save(work, out) == ["model.safetensors", "model.json"]
    return work, out


@pytest.fixture
def model(saved):
    return saved[1] / portable.WEIGHTS


def start(file, seed=0, workdir=None, trial=None, **values):
    given = {"device": "cpu", "threads": 1, "seed": seed, "workdir": workdir}
    settings = {**SETTINGS, "normalize": True, **values}
    return cnn.objective(trial or FixedTrial(GOOD), **given, initial_weights=file, **settings)


def test_a_saved_model_works_without_this_program(saved):
    """Weights by safetensors, pixels as model.json says: the accuracy that evaluate gives."""
    work, out = saved
    about = json.loads((out / "model.json").read_text())
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert about["config"]["optimizer"] == "sgd"
    network = networks.build("digits_cnn", classes=10, shape=tuple(about["input"]["shape"]))
    network.load_state_dict(safetensors.torch.load_file(out / about["weights"]))
    split = datasets.load("digits").validation
    pixels = torch.tensor(np.ascontiguousarray(split.stored[split.rows])).float()
    recipe = about["input"]
    mean, std = (
        torch.tensor(recipe[key])[:, None, None] for key in ("then_subtract", "then_divide_by")
    )
    with torch.no_grad():
        guessed = network.eval()((pixels / recipe["divide_by"] - mean) / std).argmax(1)
    accuracy = (guessed == torch.tensor(split.labels)).double().mean().item()
    assert accuracy == pytest.approx(cnn.evaluate(work, "validation", "cpu")["accuracy"])


UPRIGHT = ["turn upright", "draw what", "convert to sRGB"]


@pytest.mark.parametrize(
    ("dataset", "size", "resize", "told"),
    [
        ("digits", None, None, []),
        ("digits", 16, None, ["keep the middle square and scale it to 16x16, bilinear with anti"]),
        ("npz:a.npz", 16, None, ["scale both sides to 16x16, bilinear with antialiasing"]),
        ("folder:photos", None, None, UPRIGHT),
        ("folder:photos", 16, None, [*UPRIGHT, "keep the middle square"]),
        ("folder:photos", 16, "squash", [*UPRIGHT, "scale both sides to 16x16, bilinear (PIL."]),
        ("csv:a.csv", 16, "pad", [*UPRIGHT, "put it in the middle of black, scaled to fit into"]),
    ],
)
def test_the_whole_way_of_a_picture_is_told(dataset, size, resize, told):
    """Not only what becomes of its values: a model is of no use to who resizes otherwise."""
    shape = [3, 16, 16] if size else [3, 8, 8]
    config = {"dataset": dataset, "image_size": size, "resize": resize}
    *steps, last = portable._pictures(config, shape)
    assert last.startswith("values 0 to 255")
    assert all(step.startswith(words) for step, words in zip(steps, told, strict=True))


def test_the_confusion_matrix_counts_every_image_once(saved):
    """Rows are true classes; its diagonal is the accuracy."""
    for split, parts in (
        ("validation", datasets.load("digits").validation),
        ("test", datasets.load_test("digits")),
    ):
        matrix = np.array(cnn.confusion(saved[0], split, "cpu"))
        assert matrix.sum(axis=1).tolist() == np.bincount(parts.labels).tolist()
        accuracy = cnn.evaluate(saved[0], split, "cpu")["accuracy"]
        assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy)
    with pytest.raises(ValueError, match="no trained model is kept here"):
        cnn.confusion(saved[1], "test", "cpu")
    with pytest.raises(ValueError, match="no trained model is kept here"):
        cnn.save(saved[1], saved[1])


def test_what_was_saved_is_read_back_bitwise(saved, model):
    """Weights, configuration, classes."""
    read = portable.read(model)
    kept = torch.load(io.BytesIO((saved[0] / "model.pt").read_bytes()), weights_only=True)
    assert read.weights.keys() == kept["weights"].keys()
    assert all(torch.equal(read.weights[name], kept["weights"][name]) for name in read.weights)
    assert read.about["config"] == kept["config"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_every_type_and_shape_of_tensor_has_a_digest(dtype):
    """Scalars (batch norm counts with one) and empty ones too; each bit counts."""
    about = {"config": {}}
    tensors = [
        torch.ones((), dtype=dtype),
        torch.ones(2, 3, dtype=dtype),
        torch.ones(0, 4, dtype=dtype),
    ]
    digests = {portable._digest({"a": one}, about) for one in tensors}
    digests.add(portable._digest({"a": torch.zeros((), dtype=dtype)}, about))
    digests.add(portable._digest({"b": tensors[0]}, about))
    assert len(digests) == 5


@pytest.mark.soak
def test_a_model_is_gone_on_from(saved, model):
    """At a learning rate near zero the first epoch scores what the model scored."""
    still = {"lr": 1e-12, "batch_size": 64}
    score = start(model, trial=FixedTrial(still))
    assert score == pytest.approx(cnn.evaluate(saved[0], "validation", "cpu")["accuracy"])
    assert score == start(model, trial=FixedTrial(still), seed=99)  # which draws no weights now
    assert start(None, trial=FixedTrial(still)) < 0.5 < score


class Stopped(FixedTrial):
    """A trial that is interrupted after its first epoch."""

    def report(self, value, step):
        if step == 0:
            raise KeyboardInterrupt


@pytest.mark.soak
def test_a_checkpoint_of_another_beginning_is_not_gone_on_from(model, tmp_path):
    """Of the same beginning it is."""
    with pytest.raises(KeyboardInterrupt):
        start(model, workdir=tmp_path, trial=Stopped(GOOD), epochs=2)
    for file, resumed in ((None, None), (model, 1)):
        trial = FixedTrial(GOOD)
        start(file, workdir=tmp_path, trial=trial, epochs=2)
        assert trial.user_attrs.get("resumed_from") == resumed


class Bomb:
    """What must never be unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def tampered(model, folder, what):
    """A copy of the model file with one thing about it wrong."""
    file, content = folder / "other.safetensors", bytearray(model.read_bytes())
    if what == "a flipped bit":
        content[-5] ^= 1
    elif what == "cut off":
        del content[-100:]
    elif what == "a pickle":
        content = pickle.dumps(Bomb())
    elif what == "empty":
        content = b""
    else:
        with safetensors.safe_open(model, "pt") as opened:
            metadata = dict(opened.metadata())
        if what == "other classes":
            metadata["about"] = metadata["about"].replace('"0"', '"zero"')
        elif what == "a description of nothing":  # with a digest that is right
            about = json.loads(metadata["about"])["classes"]
            weights = portable.read(model).weights
            metadata |= {"about": json.dumps(about), "sha256": portable._digest(weights, about)}
        elif what == "a deep description":
            metadata["about"] = "[" * 100_000
        elif what == "no description":
            del metadata["about"]
        elif what == "another format":
            metadata["format"] = "pt"
        content = safetensors.torch.save(portable.read(model).weights, metadata)
    file.write_bytes(bytes(content))
    return file


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("a flipped bit", "changed since it was written"),
        ("other classes", "changed since it was written"),
        ("a description of nothing", "changed since it was written"),
        ("a deep description", "changed since it was written"),
        ("no description", "changed since it was written"),
        ("cut off", "cannot be read as a model"),
        ("a pickle", "cannot be read as a model"),
        ("empty", "cannot be read as a model"),
        ("another format", "not written by `optsearch train` \\(format pt"),
    ],
)
def test_a_file_that_is_not_ours_or_was_changed_is_refused(what, told, model, tmp_path):
    """In one line that names the file, before it is trained with."""
    file = tampered(model, tmp_path, what)
    with pytest.raises(ValueError, match=told) as caught:
        start(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    """And what to give."""
    with pytest.raises(ValueError, match=r"cannot be read as a model .* model.safetensors"):
        start(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("name", "classes", "shape", "told"),
    [
        ("mnist_cnn", 10, (1, 28, 28), "holds a digits_cnn, this configuration trains a mnist_cnn"),
        ("digits_cnn", 7, (1, 8, 8), "in the model of 10 classes"),
        ("digits_cnn", 10, (3, 8, 8), "give a model of the same network, classes and image size"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(name, classes, shape, told, model):
    """Another network, other classes, other images; nothing of the network is changed."""
    network = networks.build(name, classes=classes, shape=shape)
    before = {key: one.clone() for key, one in network.state_dict().items()}
    with pytest.raises(ValueError, match=told):
        portable.load_into(network, name, model)
    assert all(torch.equal(one, before[key]) for key, one in network.state_dict().items())


def test_a_full_disk_leaves_the_older_model_whole(saved, small_disk):
    """And says so as an OSError, which names the disk."""
    older = small_disk / portable.WEIGHTS
    older.write_bytes(b"older")
    (small_disk / "others").write_bytes(bytes(2**20 - 2**15))
    with pytest.raises(OSError, match="No space left"):
        cnn.save(saved[0], small_disk)
    assert older.read_bytes() == b"older"
    assert sorted(p.name for p in small_disk.iterdir()) == [portable.WEIGHTS, "others"]


@pytest.mark.soak
def test_a_pruned_start_is_no_error(model):
    """A learning rate that is too high diverges from good weights, too."""
    with pytest.raises(optuna.TrialPruned):
        start(model, trial=FixedTrial({"lr": 1e30}))
