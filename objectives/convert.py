"""A trained model for other programs: as ONNX, torch.export or TorchScript, checked on pictures."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from objectives import classifier, datasets, notes, pictures
from objectives.classifier import Classifier
from objectives.config import DATA_KNOBS

CHECKED = 256  # pictures at most on which the two are compared
FAR = 1e-3  # a probability that differs by more is not rounding: that file is not kept
ABOUT = "model.json"  # what the file holds beside the graph: classes, and the way of a picture
NEEDED = ("onnx", "onnxscript", "onnxruntime")

Probabilities = Callable[[Tensor], Tensor]  # of uint8 pixels [B, C, H, W]


class Portable(nn.Module):
    """A classifier as one graph: uint8 pixels [B, C, H, W] to probabilities [B, classes], all in
    float32."""

    factor: Tensor
    offset: Tensor | None

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.network = model.network
        self.register_buffer("factor", model.factor)
        self.register_buffer("offset", model.offset)

    def forward(self, pixels: Tensor) -> Tensor:
        inputs = pixels.float() * self.factor
        if self.offset is not None:
            inputs = inputs + self.offset
        logits: Tensor = self.network(inputs)
        return logits.softmax(1)


@dataclass(frozen=True)
class Format:
    """One kind of file. write(graph, example, file, about), about: JSON; read(file)."""

    suffix: str
    runs_in: Callable[[], str]  # what it is checked in
    write: Callable[[Portable, Tensor, Path, str], None]
    read: Callable[[Path], Probabilities]
    needs: tuple[str, ...] = ()


def _exported(graph: Portable, example: Tensor) -> torch.export.ExportedProgram:
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    return torch.export.export(graph, (example,), dynamic_shapes=shapes)


def _write_export(graph: Portable, example: Tensor, file: Path, about: str) -> None:
    torch.export.save(_exported(graph, example), file, extra_files={ABOUT: about})


def _read_export(file: Path) -> Probabilities:
    module: Probabilities = torch.export.load(file).module()
    return module


def _write_script(graph: Portable, example: Tensor, file: Path, about: str) -> None:
    """One graph, frozen: the file of a network of one's own has a name that no class may bear."""
    traced: Any = torch.jit.freeze(torch.jit.trace(graph, example))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, file, _extra_files={ABOUT: about})


def _read_script(file: Path) -> Probabilities:
    module: Probabilities = torch.jit.load(file)  # type: ignore[no-untyped-call]
    return module


def _write_onnx(graph: Portable, example: Tensor, file: Path, about: str) -> None:
    program = torch.onnx.export(
        _exported(graph, example),
        (),
        verbose=False,
        input_names=["pixels"],
        output_names=["probabilities"],
    )
    assert program is not None
    program.model.metadata_props[ABOUT] = about
    program.save(file, external_data=False)


def _read_onnx(file: Path) -> Probabilities:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])


def _runtime() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def _torch() -> str:
    return f"torch {torch.__version__}"


FORMATS = {
    "onnx": Format(".onnx", _runtime, _write_onnx, _read_onnx, NEEDED),
    "torch_export": Format(".pt2", _torch, _write_export, _read_export),
    "torchscript": Format(".torchscript.pt", _torch, _write_script, _read_script),
}


def convert(
    folder: Path, to: str = "onnx", out: Path | None = None, files: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the model of a folder as a file that runs without this program, and compare the two.

    to: a name of FORMATS. out: the file; None is the folder's name with the format's ending, beside
    it. files: pictures to compare on; without any the validation images of its own data set.
    Returns `file` and `told`, a line each. Raises ValueError, or OSError, in one line: then no file
    is left, or the one that was there before.
    """
    form = _form(to)
    model = classifier.load(folder)
    pixels, whose = _pictures(model, files)
    place = Path(folder).absolute()
    target = Path(out) if out else place.with_name(place.name + form.suffix)
    keys = ("classes", "input")
    about = json.dumps({key: model.about[key] for key in keys}, ensure_ascii=False)
    graph = Portable(model).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        part = Path(scratch) / f"model{form.suffix}"
        with torch.no_grad(), _quietly():
            found = _converted(form, to, graph, pixels, part, about, model.batch_size)
            wanted = _run(graph, pixels, model.batch_size)
        told = _compared(found, wanted, to, f"{whose} in {form.runs_in()}")
        part.replace(target)
    own = _run(model.probabilities, pixels, model.batch_size)
    shown = target.name if out is None and target.parent == Path.cwd() else str(target)
    return {"file": shown, "told": [*_way(model), told, *_rounded(found, own, model)]}


def formats() -> list[str]:
    """What `to` may be."""
    return list(FORMATS)


def _form(to: str) -> Format:
    if to not in FORMATS:
        near = get_close_matches(to, FORMATS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"--to {to}: one of: {', '.join(FORMATS)}{hint}")
    if missing := [name for name in FORMATS[to].needs if find_spec(name) is None]:
        raise ValueError(
            f"--to {to}: needs {' and '.join(missing)}; pip install 'optsearch[{to}]', or convert "
            "to torch_export"
        )
    return FORMATS[to]


def _pictures(model: Classifier, files: Sequence[str]) -> tuple[Tensor, str]:
    """uint8 [N, C, H, W] to compare on, and whose they are."""
    if not files:
        return _validation(model)
    read, wrong = [], ""
    for file in _spread(files):
        try:
            read.append(model.read(file)[0])
        except pictures.UnreadableError as error:
            wrong = wrong or f"{file}: {error}"
    if not read:
        raise ValueError(f"none of {notes.count(len(files), 'picture')} can be read: {wrong}")
    return torch.stack(read), notes.count(len(read), "picture")


def _validation(model: Classifier) -> tuple[Tensor, str]:
    config = model.about["config"]
    try:
        found = datasets.load(**{name: config[name] for name in DATA_KNOBS if name in config})
    except (ValueError, OSError) as error:
        raise ValueError(
            f"the model's own validation images cannot be read here ({error}); give pictures to "
            "compare on with --images"
        ) from error
    split = found.validation
    rows = np.arange(len(split.stored)) if split.rows is None else split.rows
    some = np.asarray(_spread(rows.tolist()))
    values = np.ascontiguousarray(split.stored[some])
    return torch.from_numpy(values), f"{notes.count(len(some), 'validation image')}"


def _spread(some: Sequence[Any]) -> list[Any]:
    """CHECKED of them at most, from first to last."""
    wanted = np.linspace(0, len(some) - 1, min(len(some), CHECKED)).astype(int)
    return [some[i] for i in wanted]


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporters print, log and warn of what they do themselves."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _converted(
    form: Format, to: str, graph: Portable, pixels: Tensor, part: Path, about: str, size: int
) -> Tensor:
    """Write the file, and what it says of the pixels."""
    example = pixels[:2] if len(pixels) > 1 else pixels[:1].expand(2, -1, -1, -1)
    try:
        form.write(graph, example, part, about)
        return _run(form.read(part), pixels, size)
    except OSError:
        raise
    except Exception as error:  # exporters fail in as many ways as there are networks
        others = " or ".join(name for name in FORMATS if name != to)
        first = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(
            f"--to {to}: this network cannot be converted ({type(error).__name__}: {first}); "
            f"try {others}"
        ) from error


def _run(model: Probabilities, pixels: Tensor, size: int) -> Tensor:
    """In batches, and the first picture alone: a graph may be bound to the batch of its example."""
    alone = model(pixels[:1])
    return torch.cat(
        [alone, *(model(batch) for batch in torch.split(pixels[1:], size) if len(batch))]
    )


def _compared(found: Tensor, wanted: Tensor, to: str, where: str) -> str:
    """What is told of the check. Raises ValueError where the two are not the same model."""
    difference = (found - wanted).abs().max().item()
    if not difference <= FAR:  # nan, too
        raise ValueError(
            f"--to {to}: what was written differs from the model by {difference:.2g} of a "
            f"probability on {where}, and is not kept; convert to another format"
        )
    return f"checked on {where}: the largest difference of a probability is {difference:.1e}"


def _way(model: Classifier) -> Iterator[str]:
    """What is within the file, and what is not."""
    channels, height, width = model.shape
    steps = [f"division by {model.about['input']['divide_by']:g}"]
    steps += ["normalization"] * ("then_subtract" in model.about["input"])
    yield (
        f"takes uint8 pixels [N, {channels}, {height}, {width}], gives the probabilities of "
        f"{len(model.classes)} classes [N, {len(model.classes)}]"
    )
    yield f"within: {', '.join(steps)}, network and softmax, in float32"
    yield f"before it: {'; '.join(model.about['input'].get('pictures', ()))}"


def _rounded(found: Tensor, own: Tensor, model: Classifier) -> Iterator[str]:
    """How far a model that computes in fewer bits is from the file."""
    if model.dtype == torch.float32:
        return
    changed = int((found.argmax(1) != own.argmax(1)).sum())
    kind = str(model.dtype).removeprefix("torch.")
    yield (
        f"the model itself computes in {kind}: its probabilities differ by up to "
        f"{(found - own).abs().max().item():.1e}, and {changed:,} of {len(own):,} pictures get "
        "another class"
    )
