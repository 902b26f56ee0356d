"""Rules of the networks: shapes and sizes as published, any input that fits, clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from objectives import borrowed, networks

torch.set_num_threads(1)
NATURAL = {"mnist_cnn": (1, 28, 28), "digits_cnn": (1, 8, 8)}  # the others: CIFAR's 3x32x32


def build(network: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    shape = NATURAL.get(network, (3, 32, 32))
    return networks.build(network, **{"classes": 10, "shape": shape, **options})  # type: ignore[arg-type]


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.soak
@pytest.mark.parametrize("network", networks.NETWORKS)
def test_every_network_trains(network: str) -> None:
    """Logits per class come out, and a gradient reaches every parameter."""
    shape = NATURAL.get(network, (3, 32, 32))
    model = build(network, classes=7)
    logits = model(torch.rand(4, *shape))
    assert logits.shape == (4, 7)
    torch.autograd.backward(F.cross_entropy(logits, torch.tensor([0, 1, 2, 6])))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        ("keras_cnn", 1_250_858),  # published
        ("mnist_cnn", 432_138),
        ("digits_cnn", 151_306),
        ("resnet9", 6_573_120),
    ],
)
def test_networks_have_their_published_size(network: str, parameters: int) -> None:
    """As many parameters as the original."""
    assert size(build(network)) == parameters


def test_keras_cnn_has_the_shapes_of_the_notebook() -> None:
    """Convolutions of 32, 30, 15, 13 pixels and a flat layer of 2304."""
    seen = []
    model = build("keras_cnn")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda *args: seen.append(tuple(args[2].shape[1:])))
    model(torch.rand(1, 3, 32, 32))
    assert seen == [(32, 32, 32), (32, 30, 30), (64, 15, 15), (64, 13, 13), (512,), (10,)]
    dropped = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert dropped == [0.25, 0.25, 0.5]


def test_pool_before_relu_equals_relu_before_pool() -> None:
    """The reordering changes neither a value nor a gradient, not even among equal values."""
    images = torch.randint(-3, 4, (8, 4, 12, 12)).float()
    weights = torch.rand(8, 4, 6, 6)
    results = []
    for order in ([nn.MaxPool2d(2), nn.ReLU()], [nn.ReLU(), nn.MaxPool2d(2)]):
        x = images.clone().requires_grad_()
        out = nn.Sequential(*order)(x)
        (out * weights).sum().backward()
        assert x.grad is not None
        results.append((out, x.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_keras_init_is_glorot_uniform_with_zero_bias(network: str) -> None:
    """Weights lie within Glorot's limit and fill it; biases are zero; torch's init differs."""
    model = build(network, init="keras")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            taps = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            limit = (6 / (taps * (layer.weight.shape[0] + layer.weight.shape[1]))) ** 0.5
            assert 0.95 * limit < layer.weight.abs().max() <= limit
            assert layer.bias is None or not layer.bias.any()
    other = build(network, init="torch")
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(one, two) for one, two in pairs)


def test_a_seed_fixes_the_weights() -> None:
    """Two networks of one seed are bitwise equal."""
    pairs = zip(build("keras_cnn").parameters(), build("keras_cnn").parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_batch_norm_of_mnist_cnn_is_keras() -> None:
    """Keras' momentum 0.99 is torch's 0.01; epsilon 1e-3."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    norms = [layer for layer in build("mnist_cnn").modules() if isinstance(layer, kinds)]
    assert len(norms) == 5
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_an_input_too_small_is_refused_and_the_least_is_right(network: str) -> None:
    """The error gives the arithmetic and the least size; that size works, one less does not."""
    with pytest.raises(ValueError, match=r"images of 1x1 are too small \(1 > .*image_size to") as e:
        networks.build(network, classes=3, shape=(1, 1, 1))
    least = int(str(e.value).split("image_size to ")[1].split()[0])
    networks.check(network, shape=(1, least, least))
    model = networks.build(network, classes=3, shape=(1, least, least + 3)).eval()
    assert model(torch.rand(2, 1, least, least + 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="too small"):
        networks.check(network, shape=(1, least + 9, least - 1))


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_dropout_keeps_its_share_and_the_mean(p: float) -> None:
    """A share p is zero, the rest is scaled by 1 / (1 - p), independently in each byte."""
    torch.manual_seed(0)
    out = networks.Dropout(p)(torch.ones(40_000, 25))
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1 / (1 - p)])
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=2e-3)
    assert (out == 0).view(-1, 8).float().mean(0).tolist() == pytest.approx([p] * 8, abs=6e-3)


def test_dropout_passes_gradients_through_its_mask() -> None:
    """What is dropped gets no gradient, what stays gets the scale; odd sizes and layouts work."""
    torch.manual_seed(0)
    x = torch.ones(3, 5, 7, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = networks.Dropout(0.25)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_dropout_is_nothing_in_evaluation() -> None:
    """The input comes back itself."""
    x = torch.rand(10)
    assert torch.equal(networks.Dropout(0.5).eval()(x), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "resnet99"}, r"unknown network 'resnet99'; one of: keras_cnn, .* resnet9\?"),
        ({"network": "resnet9", "init": "glorot"}, "unknown init 'glorot'; one of: keras, torch"),
        ({"network": "resnet9", "freeze": "all"}, "unknown freeze 'all'; one of: none, backbone"),
        ({"network": "resnet9", "freeze": "backbone"}, "needs a torchvision network"),
        ({"network": "resnet9", "weights": "default"}, "needs a torchvision network"),
        ({"network": "./none.py:build"}, r"there is no file .*none\.py"),
    ],
)
def test_wrong_names_are_refused_in_one_line(options: dict[str, str], message: str) -> None:
    """Before anything is built, with the valid names."""
    with pytest.raises(ValueError, match=message) as caught:
        networks.check(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_unknown_torchvision_network_names_the_nearest() -> None:
    """Eighty names are too many for a line."""
    with pytest.raises(ValueError, match=r"unknown network 'torchvision:resnt18'.*resnet18"):
        networks.check("torchvision:resnt18")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "densenet121"])
def test_torchvision_networks_get_a_new_head(name: str) -> None:
    """Any number of classes, gray images too, every parameter learns."""
    model = build(f"torchvision:{name}", classes=3, shape=(1, 32, 32))
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_frozen_backbone_stays_as_it_is() -> None:
    """Only the head learns; batch statistics do not move, even in training mode."""
    model = build("torchvision:resnet18", freeze="backbone")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    model(torch.rand(4, 3, 32, 32)).sum().backward()
    assert {key for key, p in model.named_parameters() if p.requires_grad} == {
        "head.weight",
        "head.bias",
    }
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert isinstance(model, borrowed.Transfer)
    assert model.head.weight.grad is not None


@pytest.mark.soak
def test_a_frozen_vgg_gives_its_flat_convolutional_features() -> None:
    """One linear layer upon 512 x 7 x 7 features at 224 pixels, 512 at 32, as in the source."""
    model = build("torchvision:vgg11", freeze="backbone")
    assert isinstance(model, borrowed.Transfer)
    assert model.head.in_features == 512
    assert not model.head.bias.any()
    features = model.backbone(torch.rand(1, 3, 224, 224))
    assert features.flatten(1).shape == (1, 512 * 7 * 7)


def test_an_image_too_small_for_torchvision_is_refused() -> None:
    """With the size and the usual remedy."""
    with pytest.raises(ValueError, match=r"images of 32x32 do not suit it .* usually to 224"):
        build("torchvision:alexnet")
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        build("torchvision:resnet18", shape=(4, 32, 32))


def test_weights_default_without_a_network_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file, the folder it belongs in, and the way round."""

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(OSError, match=r"put resnet18-.*\.pth into .*checkpoints.*weights: none"):
        build("torchvision:resnet18", weights="default")


def test_torchvision_weights_from_a_file(tmp_path: Path) -> None:
    """A state dict of 1000 classes goes into the backbone; the head for our classes is new."""
    from torchvision.models import resnet18

    torch.manual_seed(1)
    original = resnet18()
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    model = build("torchvision:resnet18", weights=str(tmp_path / "weights.pth"), classes=4)
    state, own = original.state_dict(), model.state_dict()
    shared = [key for key in state if not key.startswith("fc.")]
    assert all(torch.equal(state[key], own[f"backbone.{key}"]) for key in shared)
    assert own["head.weight"].shape == (4, 512)


@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
def test_own_weights_from_a_file(tmp_path: Path, nested: str | None) -> None:
    """Every weight is taken where the classes agree; with other classes all but the last layer."""
    torch.manual_seed(7)
    original = networks.build("digits_cnn", classes=10, shape=(1, 8, 8))
    state = original.state_dict()
    file = tmp_path / "weights.pt"
    torch.save({nested: state} if nested else state, file)
    same = build("digits_cnn", weights=str(file)).state_dict()
    assert all(torch.equal(state[key], same[key]) for key in state)
    other = build("digits_cnn", weights=str(file), classes=3).state_dict()
    assert [key for key in state if state[key].shape != other[key].shape] == list(state)[-2:]
    assert all(torch.equal(state[key], other[key]) for key in list(state)[:-2])


def test_safetensors_are_read(tmp_path: Path) -> None:
    """Where that library is installed."""
    safetensors = pytest.importorskip("safetensors.torch")
    state = build("digits_cnn", init="torch").state_dict()
    safetensors.save_file(state, tmp_path / "weights.safetensors")
    own = build("digits_cnn", weights=str(tmp_path / "weights.safetensors")).state_dict()
    assert all(torch.equal(state[key], own[key]) for key in state)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """The first odd tensor is named, with both sizes."""
    file = tmp_path / "weights.pt"
    torch.save(build("digits_cnn", shape=(3, 8, 8)).state_dict(), file)
    with pytest.raises(ValueError, match=r"0\.weight is 32x1x3x3 in the network and 32x3x3x3"):
        build("digits_cnn", weights=str(file))
    with pytest.raises(ValueError, match="do not fit"):
        build("torchvision:resnet18", weights=str(file))


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    """A missing file, a text, a pickled object that would run code, a list."""
    with pytest.raises(ValueError, match="no weights file"):
        build("digits_cnn", weights="nowhere.pt")
    file = tmp_path / "weights.pt"
    file.write_text("not weights")
    with pytest.raises(ValueError, match=r"cannot be read .*torch\.save"):
        build("digits_cnn", weights=str(file))
    torch.save(nn.Linear(2, 2), file)
    with pytest.raises(ValueError, match="cannot be read"):
        build("digits_cnn", weights=str(file))
    torch.save([1, 2], file)
    with pytest.raises(ValueError, match="no state dict"):
        build("digits_cnn", weights=str(file))


def test_the_users_own_network(tmp_path: Path) -> None:
    """Called with what its signature takes; modules beside the file are importable."""
    (tmp_path / "beside_mine.py").write_text("from torch import nn\nWIDTH = 5\n")
    (tmp_path / "mine.py").write_text(
        "from beside_mine import WIDTH, nn\n"
        "def build(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(WIDTH), nn.Linear(WIDTH, classes))\n"
        "def everything(**given):\n"
        "    channels, height, width = given['shape']\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 10))\n"
        "def narrow():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(7, 10))\n"
        "def wrong():\n"
        "    return 3\n"
    )
    mine = f"{tmp_path}/mine.py"
    assert build(f"{mine}:build", classes=4, shape=(3, 8, 8)).training
    assert build(f"{mine}:everything")(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"one row of 12 numbers .* got 2x10 for 2 images"):
        build(f"{mine}:everything", classes=12)
    with pytest.raises(ValueError, match="fails on images of 3x32x32: "):
        build(f"{mine}:narrow")
    assert networks.reads(f"{mine}:build") == {"weights"}
    assert networks.reads(f"{mine}:everything") == {"init", "weights"}
    with pytest.raises(ValueError, match=r"must return a torch\.nn\.Module, got int"):
        build(f"{mine}:wrong")
    with pytest.raises(ValueError, match="defines no function 'nothing'"):
        networks.check(f"{mine}:nothing")
