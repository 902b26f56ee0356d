"""What `run` and `confirm` print at their end: the answer, to be read in ten seconds.

Why, how sure, and what else there is to know is told by `show`, in `summary.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from search.answers import candidates, compare, evidence, kept, leads, verdicts, words
from search.cli import counts, ranking, summary
from search.database import storage
from search.record import chains, enough, next_step
from search.record import study as studies
from search.record.progress import params_words
from search.studyfile import commands

if TYPE_CHECKING:
    import optuna

    from search.answers.evidence import Evidence
    from search.studyfile.spec import StudySpec

console = summary.console


def print_answer(study: "optuna.Study", spec: "StudySpec", out: Path | None, again: str) -> None:
    """The question, its answer, what may be concluded, what it cost, and where the files are.

    Args:
        out: the file that was written, if one was.
        again: the command that searches on; "" where there is nothing more to search.
    """
    known = evidence.of(study)
    if known is None or known.winner is None or out is None:  # there is more to explain
        summary.print_answer(study, spec, out, again)
        return
    console.print()
    if spec.question:
        console.print(spec.question, style="bold")
    for sentence in leads.of_study(study):
        console.print(sentence, style="bold")
    console.print()
    if candidates.asked_by(study):
        found = compare.compare([study])
        console.print(ranking.table(found, summary.RANKED_WITHOUT))
        concluded = verdicts.in_brief(found.rows)
    else:
        console.print(summary.confirmed_table(known))
        concluded = []
    data = study.user_attrs.get("data", {})
    for line in [*concluded, *words.in_brief(known, known.winner, data)]:
        console.print(line)
    _print_cost(study, spec, known)
    _print_files(study, out, known, again)


def _print_cost(study: "optuna.Study", spec: "StudySpec", known: "Evidence") -> None:
    """Trials, epochs and runs; why the search ended early; what failed."""
    trials = study.get_trials(deepcopy=False)
    told = f"{chains.started(trials)} trials"
    if found := counts.spent(trials):
        told += (
            f" of {found.run} epochs ({found.pruned} were saved by pruning, {found.patient} by "
            "patience)"
        )
    console.print(f"Cost: {told}, and {known.runs} runs on fresh seeds.")
    if why := enough.why(trials, studies.limits(study, spec).enough):
        console.print(why)
    for line in counts.errors(trials):
        console.print(line, style="red")


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
