"""Show a training, epoch by epoch, until it is done, and pass on what a person asks of it."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import typer

from search.cli.watch import Terminated, _terminable

if TYPE_CHECKING:
    from search.studyfile.spec import StudySpec
    from search.workers.process import Process

Show = Callable[[dict[str, Any]], None]


def watch_replay(
    asked: "Process",
    question: "StudySpec",
    given: dict[str, Any],
    epochs: int | None,
    metric: str,
) -> tuple[dict[str, Any], int]:
    """The answer of `requests.replay`, and the exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        given: what the objective is offered beside its settings.
        epochs: the most there can be, where that is known.
    """
    heard, tell = multiprocessing.Pipe(duplex=False)
    interrupts, code = 0, 0
    with _terminable(), _shown(epochs, metric) as show:
        asked.send("replay", study=question, tell=tell, **given)
        while True:
            try:
                answered = asked.pipe in connection.wait([asked.pipe, heard])
                while heard.poll():
                    show(heard.recv())
                if answered:
                    return asked.answer(), code
            except KeyboardInterrupt as stop:
                terminated = isinstance(stop, Terminated)
                interrupts += 2 if terminated else 1
                code = 143 if terminated else 130
                if interrupts > 3:
                    raise
                if interrupts == 1:
                    typer.echo("finishing the running epoch; Ctrl-C again stops at once", err=True)
                    asked.finish_epoch()
                else:
                    asked.stop_at_once()


@contextmanager
def _shown(epochs: int | None, metric: str) -> Iterator[Show]:
    """A bar on a terminal, a line an epoch elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    of = f" of {epochs}" if epochs else ""
    said: list[int] = []

    def words(report: dict[str, Any]) -> str:
        return f"epoch {report['step'] + 1}{of}  {metric} {report['value']:.5g}"

    def line(report: dict[str, Any]) -> None:
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

        def bar(report: dict[str, Any]) -> None:
            progress.update(task, completed=report["step"] + 1, description=words(report))

        yield bar
