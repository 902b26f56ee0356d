"""`optsearch convert`: a saved model as a file that other programs run."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A folder that `run` or `train` has written.")
]
To = Annotated[str, typer.Option(metavar="FORMAT", help="onnx, torch_export or torchscript.")]
File = Annotated[
    Path | None,
    typer.Option(help="The file. Default: beside the folder, with its name.", show_default=False),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Pictures, folders or a CSV of files to check it on. Repeatable. Default: validation "
        "images of the model's own data set.",
        show_default=False,
    ),
]


def convert(model: Model, to: To = "onnx", out: File = None, images: Images = None) -> None:
    """Write a model as ONNX, torch.export or TorchScript, its preprocessing of pixels included.

    It is compared with the original on real images; what differs is not kept.
    """
    from search.answers import export, held
    from search.service import predict
    from search.workers import process

    whose = held.check(model)
    export.check_writable(out or model.absolute().with_name(f".{model.absolute().name}"))
    process.warm_up(whose.objective, whose.folder)
    files = [str(one.file) for one in predict.named(images or (), ())]
    about = {"model": str(model), "reference": whose.objective, "where": whose.folder}
    with process.Process() as asked:
        found = asked.ask("convert", **about, to=to, out=out, files=files)
    typer.echo(found["file"])
    for line in found["told"]:
        typer.echo(line)
