"""What `run` and `confirm` print at their end: the answer, to be read in ten seconds.

Why, how sure, and what else there is to know is told by `show`, in `summary.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from search.answers import brief, kept
from search.cli import ranking, summary
from search.database import storage
from search.record import next_step
from search.record.progress import params_words
from search.studyfile import commands

if TYPE_CHECKING:
    import optuna

    from search.answers.evidence import Evidence
    from search.studyfile.spec import StudySpec

console = summary.console
LEGEND = "±: half of a 95 % interval; tried: configurations, in so many epochs (ep)."


def print_answer(study: "optuna.Study", spec: "StudySpec", out: Path | None, again: str) -> None:
    """The question, its answer, what may be concluded, what it cost, and where the files are.

    Args:
        out: the file that was written, if one was.
        again: the command that searches on; "" where there is nothing more to search.
    """
    told = brief.of(study, spec)
    if told.known is None or not told.is_confirmed or out is None:  # there is more to explain
        summary.print_answer(study, spec, out, again)
        return
    console.print()
    if told.question:
        console.print(told.question, style="bold")
    for sentence in told.leads:
        console.print(sentence, style="bold")
    console.print()
    if told.comparison:
        console.print(ranking.table(told.comparison, brief.WITHOUT))
        console.print(LEGEND, style="dim")
    else:
        console.print(summary.confirmed_table(told.known))
    for line in filter(None, [*told.concluded, told.cost, told.forecast, told.enough]):
        console.print(line)
    for line in told.errors:
        console.print(line, style="red")
    _print_files(study, out, told.known, again)


def _print_files(study: "optuna.Study", out: Path, known: "Evidence", again: str) -> None:
    """The files with what they hold, and commands, each whole on a line, as it is to be pasted."""
    assert known.winner is not None
    model, files = kept.place(out), Table.grid(padding=(0, 2))
    files.add_column(style="bold", no_wrap=True)
    files.add_row(str(out), params_words(known.winner.params))
    if has_model := model.is_dir():
        files.add_row(f"{model}/", "its trained model, with a card")
    console.print()
    console.print(files)
    console.print()
    summary.print_commands(
        (next_step.of(study, "show"), "why, how sure, and what else there is to know"),
        (commands.line("predict", commands.file(model), "PICTURE") * has_model, "use the model"),
        (next_step.of(study, "report"), "the same with figures, in one file"),
        (commands.line("dashboard", storage=storage.place(study)), "the same in the browser"),
        (again, "search on"),
    )
