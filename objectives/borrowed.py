"""Networks from elsewhere: torchvision's by name, the user's own by file; weights from a file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from objectives import paths

Shape = tuple[int, int, int]
Builder = Callable[..., nn.Module]
DENSE = ("vgg", "alexnet")  # whose dense layers belong to their old classes, not to the backbone


class Transfer(nn.Module):
    """A backbone and a new linear head. A frozen backbone neither learns nor drops out nor updates
    batch statistics, and keeps no activations."""

    def __init__(self, backbone: nn.Module, head: nn.Linear, frozen: bool) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not frozen)
        self.head = head
        self.frozen = frozen
        self.train()

    def train(self, mode: bool = True) -> Transfer:
        super().train(mode)
        self.backbone.train(mode and not self.frozen)
        return self

    def features(self, images: Tensor) -> Tensor:
        """What the head sees of the images, [B, F]; of a frozen backbone always the same."""
        if images.shape[1] == 1:  # these networks know colour only
            images = images.expand(-1, 3, -1, -1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Tensor = self.backbone(images)
        return features.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(images))
        return out


def check_torchvision(network: str) -> None:
    """Raise ValueError for a name that is no torchvision classification network."""
    from torchvision import models

    name, known = network.removeprefix("torchvision:"), models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known, 3) or known[:3]
        raise ValueError(
            f"unknown network {network!r}; torchvision has {len(known)}, nearest: {', '.join(near)}"
        )


def hint(network: str, own: Iterable[str]) -> str:
    """`; did you mean torchvision:resnet18?`: the nearest name, of either kind; "" without one."""
    from torchvision import models

    theirs = models.list_models(module=models)
    near = [network] if network in theirs else get_close_matches(network, [*own, *theirs], 1)
    if not near:
        return ""
    place = "torchvision:" if near[0] in theirs else ""
    return f"; did you mean {place}{near[0]}?"


def torchvision_network(
    network: str, classes: int, shape: Shape, weights: str, freeze: str
) -> Transfer:
    """Build torchvision's network with a new linear last layer of `classes` outputs.

    Frozen, a network with large dense layers of its own gives its convolutional features
    instead, flattened, at any input size: what Keras calls include_top=False.
    """
    if shape[0] not in (1, 3):
        raise ValueError(f"{network} takes images of 1 or 3 channels, got {shape[0]}")
    backbone = _backbone(network, shape, weights)
    if weights not in ("none", "default"):
        load_weights(backbone, network, weights)
    frozen = freeze == "backbone"
    if frozen and network.removeprefix("torchvision:").startswith(DENSE):
        backbone = cast(nn.Module, backbone.features)
    else:
        _cut_head(backbone)
    return Transfer(backbone, nn.Linear(_width(network, backbone, shape), classes), frozen)


def _backbone(network: str, shape: Shape, weights: str) -> nn.Module:
    from torchvision import models

    name = network.removeprefix("torchvision:")
    builder = models.get_model_builder(name)
    options: dict[str, Any] = {"weights": "DEFAULT" if weights == "default" else None}
    if name in ("googlenet", "inception_v3"):
        options["aux_logits"] = False  # a second output, for training by other means
        if weights != "default":
            options["init_weights"] = False  # SciPy-slow; torch's own initialisation instead
    if name.startswith("vit_") and weights != "default":
        options["image_size"] = shape[1]
    try:
        return cast(nn.Module, builder(**options))
    except OSError as error:  # URLError is one
        url = models.get_model_weights(name)["DEFAULT"].url
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise OSError(
            f"{network}: cannot download its weights ({url}: {error}); put {Path(url).name} into "
            f"{folder} by hand, or set weights: none or a file"
        ) from error


def _cut_head(model: nn.Module) -> None:
    """Replace the last linear layer (in SqueezeNet the last convolution) by nothing."""
    layers = [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    parent, _, last = layers[-1].rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Identity())


def _width(network: str, backbone: nn.Module, shape: Shape) -> int:
    """How many features come out for one image; tried on a blank one."""
    training = backbone.training
    try:
        with torch.no_grad():
            blank = torch.zeros(1, 3, *shape[1:])
            return int(backbone.eval()(blank).flatten(1).shape[1])
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"{network}: images of {shape[1]}x{shape[2]} do not suit it "
            f"({str(error).splitlines()[0]}); set settings.image_size, usually to 224"
        ) from error
    finally:
        backbone.train(training)


def user_network(network: str, **offered: Any) -> nn.Module:
    """Call ./file.py:function with those of the offered arguments that it declares.

    Raises ValueError where it returns no network from images of that shape to so many classes.
    """
    function = user_function(network)
    names = wanted(function)
    model = function(**{name: value for name, value in offered.items() if name in names})
    if not isinstance(model, nn.Module):
        raise ValueError(f"{network} must return a torch.nn.Module, got {type(model).__name__}")
    _check_output(network, model, offered["classes"], offered["shape"])
    return model


def _check_output(network: str, model: nn.Module, classes: int, shape: Shape) -> None:
    """Try two blank images, which also settles the sizes of lazy layers."""
    try:
        with torch.no_grad():
            out = model.eval()(torch.zeros(2, *shape))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{network} fails on images of {_words(shape)}: {reason}") from error
    model.train()
    if tuple(out.shape) != (2, classes):
        raise ValueError(
            f"{network} must give one row of {classes} numbers (the classes) an image, got "
            f"{_words(out.shape)} for 2 images; use the argument `classes` of the function"
        )


def _words(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def wanted(function: Builder) -> frozenset[str]:
    """The argument names a function declares; all that are offered where it takes **kwargs."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return frozenset({"classes", "shape", "init", *parameters})
    return frozenset(parameters)


def user_file(network: str) -> Path | None:
    """The file that ./file.py:function means here; None for a network of another kind."""
    path, colon, _ = network.rpartition(":")
    if not colon or path == "torchvision":
        return None
    return paths.expanded(path, "network").resolve()


def user_function(reference: str, knob: str = "network", example: str = "build") -> Builder:
    """Find the function that ./file.py:function names. Raises ValueError where there is none."""
    path, _, name = reference.rpartition(":")
    file = paths.expanded(path, knob).resolve()
    if not file.is_file():
        raise ValueError(
            f"{knob} {reference!r}: there is no file {file}; write ./file.py:{example}"
        )
    function = getattr(_module(file), name, None)
    if not callable(function):
        raise ValueError(f"{knob} {reference!r}: {file} defines no function {name!r}")
    return cast(Builder, function)


def _module(file: Path) -> ModuleType:
    """Import a file once, with its folder importable, as `python file.py` has it."""
    name = f"user_file:{file}"
    if name in sys.modules:
        return sys.modules[name]
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_weights(model: nn.Module, network: str, file: str) -> None:
    """Load a state dict from what torch.save or safetensors wrote; it may lie under "state_dict" or
    "model". A last layer for another number of classes stays new. Raises ValueError for a bad fit.
    """
    state, own = _state(network, file), model.state_dict()
    last = [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    new = {key for key in own if key.rpartition(".")[0] in last[-1:]}
    fits = {key for key in own if key in state and state[key].shape == own[key].shape}
    wrong = [
        key for key in own if key not in fits | new and not key.endswith("num_batches_tracked")
    ]
    wrong += [key for key in state if key not in own and not key.lower().startswith("aux")]
    if wrong:
        here, there = (_size(one.get(wrong[0])) for one in (own, state))
        raise ValueError(
            f"{network}: weights {file} do not fit: {wrong[0]} is {here} in the network and "
            f"{there} in the file ({len(wrong)} such); give weights of the same network or none"
        )
    model.load_state_dict({key: state[key] for key in fits}, strict=False)


def _size(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else _words(tensor.shape)


def _state(network: str, file: str) -> dict[str, Tensor]:
    path = paths.expanded(file, f"{network}: weights")
    if not path.is_file():
        raise ValueError(f"{network}: no weights file {file}; weights: default, none or a file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in as many ways as there are foreign files
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{network}: weights {file} cannot be read ({reason}); "
            "save them with torch.save(model.state_dict(), file)"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{network}: weights {file} hold no state dict of tensors")
    return {str(key).removeprefix("module."): tensor for key, tensor in content.items()}
