"""How one training looks: a bar on a terminal, a line an epoch elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

Show = Callable[[Mapping[str, Any]], None]


def finishing() -> None:
    """Say that Ctrl-C was heard."""
    typer.echo("finishing the running epoch; Ctrl-C again stops at once", err=True)


@contextmanager
def shown(epochs: int | None, metric: str) -> Iterator[Show]:
    """A bar on a terminal, a line an epoch elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    of = f" of {epochs}" if epochs else ""
    said: list[int] = []

    def words(report: Mapping[str, Any]) -> str:
        return f"epoch {report['step'] + 1}{of}  {metric} {report['value']:.5g}"

    def line(report: Mapping[str, Any]) -> None:
        if report["resumed_from"] and not said:
            typer.echo(f"goes on after epoch {report['resumed_from']}")
        said.append(report["step"])
        typer.echo(words(report))

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        yield line
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("epoch 1" + of, total=epochs)

        def bar(report: Mapping[str, Any]) -> None:
            progress.update(task, completed=report["step"] + 1, description=words(report))

        yield bar
