"""What `run` and `show` print about a study: the table of the best, counts, and next commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from search.answers import (
    advisor,
    brief,
    candidates,
    claims,
    compare,
    counts,
    evidence,
    leads,
    steps,
    testset,
    words,
)
from search.cli import ranking
from search.database import storage
from search.record import chains, enough, next_step, results
from search.record import study as studies
from search.record.progress import params_words
from search.strategy import audit
from search.studyfile import commands

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from search.answers.evidence import Evidence
    from search.studyfile.spec import StudySpec

console = Console(highlight=False, markup=False)


def print_answer(
    study: "optuna.Study", spec: "StudySpec | None", out: Path | None = None, again: str = ""
) -> None:
    """The best trials, how the others ended, and what to do next.

    Args:
        out: the file that was written, if one was.
        again: the command that searches on; "" where there is nothing more to search.
    """
    trials = study.get_trials(deepcopy=False)
    ranked = results.ranking(study)
    console.print()
    if spec and spec.question:
        console.print(spec.question, style="bold")
    for sentence in leads.of_study(study):
        _print_line(sentence, style="bold")
    known = evidence.of(study)
    if ranked and spec and candidates.asked_by(study):
        print_ranking(study)
    if known is not None and (known.over or any(c.scores for c in known.candidates)):
        print_evidence(known, chains.started(trials), next_step.of(study, "confirm"))
    if ranked and (known is None or known.winner is None):
        console.print(_best_table(ranked[:5], results.metric(study)))
    metric, data = results.metric(study), study.user_attrs.get("data", {})
    if ranked and (told := words.of_majority(metric, data)):
        console.print(told)
    if known is not None and known.winner is not None:
        for line in words.of_useless(known, known.winner, data):
            console.print(line, style="yellow")
    console.print(counts.of(trials))
    _print_course(study, spec, trials, is_run=out is not None)
    if out is not None:
        console.print(f"\nbest configuration: {out}", style="bold")
        _print_next_commands(study, out, again)
    elif not ranked:
        again = again or (next_step.run_on(study) if spec else "")
        console.print(
            "no trial has completed yet" + f"; `{again}` goes on" * bool(again), soft_wrap=True
        )


def _print_course(
    study: "optuna.Study",
    spec: "StudySpec | None",
    trials: "Sequence[FrozenTrial]",
    *,
    is_run: bool,
) -> None:
    """How it went, why it ended, and what stands beside it."""
    if line := counts.saved(trials):
        console.print(line)
    if (found := audit.audit(trials, study.direction)) and (found.drawn or (spec and spec.audit)):
        console.print(found.words)
    if spec and (line := enough.why(trials, studies.limits(study, spec).enough)):
        console.print(line)
    if not is_run:  # after a run the answer is what counts: `show` tells the rest
        print_steps(study)
    elif spec and not spec.is_stepwise:  # what a strategy pauses tells little of what is left
        for sentence in advisor.noise(study):
            _print_line(sentence)
    for line in counts.errors(trials):
        console.print(line, style="red")
    if spec and (table := _published_table(study, spec)):
        console.print(table)
    if claim := claims.of_study(study):
        console.print(claim)


def print_steps(study: "optuna.Study") -> None:
    """Why trials paused, went on or were ended; nothing under a strategy that pauses none."""
    if rows := steps.rows(study):
        console.print("Why trials paused or went on, the best first:")
        print_table(rows)
        if more := steps.more(study):
            _print_line(more)


def print_ranking(study: "optuna.Study") -> None:
    """The question answered: each value by its best configuration, in order, then in words."""
    found = compare.compare([study])
    console.print(ranking.table(found, brief.WITHOUT))
    for line in found.sentences:
        console.print(line)
    console.print()


def print_evidence(known: "Evidence", begun: int, again: str) -> None:
    """What fresh seeds say: a row a candidate, then the answer in words.

    Args:
        again: the command that confirms once more.
        begun: trials that have begun by now; more than the plan knew where the search went on.
    """
    console.print(f"Confirmed with fresh seeds, {known.runs} runs: mean and 95 % interval")
    console.print(confirmed_table(known))
    for one in known.candidates:  # whole, in as many lines as they need: a cut one tells nothing
        if one.params:
            named = f" ({one.configuration})" if one.configuration else ""
            console.print(f"{one.number:>5}{named}: {params_words(one.params)}")
    if _is_mixed(known):
        console.print("By verdict, then by mean: who dropped out has the mean of a few seeds only.")
    for line in words.of_evidence(known, begun, again):
        _print_line(line)


def _print_line(text: str, style: str = "") -> None:
    """As long as it is where a command is in it, as it is to be pasted."""
    console.print(text, style=style, soft_wrap=commands.join([]) in text)


def _is_mixed(known: "Evidence") -> bool:
    """Whether some mean stands below a worse one, which looks like a table that is not sorted."""
    means = [known.sign * c.interval.mean for c in known.candidates if c.interval]
    return means != sorted(means, reverse=True)


def confirmed_table(known: "Evidence") -> Table:
    """A row a candidate: its score in the search, its intervals on fresh seeds, its verdict."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("trial", "search", known.metric, known.test_metric, "seeds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in known.candidates:
        table.add_row(
            str(one.number),
            ("<" if one.pruned else "") + f"{one.search_score:.4f}",
            one.interval.short if one.interval else "-",
            one.test.short if one.test else "-",
            str(len(one.scores)),
            one.state,
            style={"winner": "bold green", "tied": "green"}.get(one.state, ""),
        )
    return table


def _print_next_commands(study: "optuna.Study", out: Path, again: str) -> None:
    """Each whole on a line of its own, however long, so that it can be pasted."""
    print_commands(
        (commands.line("train", commands.file(out)), "trains it again"),
        (next_step.of(study, "report"), "the same with figures, in one file"),
        (next_step.of(study, "show"), "what is known by now"),
        (commands.line("dashboard", storage=storage.place(study)), "the same in the browser"),
        (again, "search on"),
    )


def print_commands(*rows: tuple[str, str]) -> None:
    """Each with what it is for, but for those that are ""; in columns where there is room."""
    told = [(command, about) for command, about in rows if command]
    width = max((len(command) for command, _ in told), default=0)
    if any(width + len(f"   # {about}") > console.width for _, about in told):
        width = 0
    for command, about in told:
        console.print(f"{command:<{width}}   # {about}", soft_wrap=True)


def _best_table(ranked: "Sequence[FrozenTrial]", metric: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("trial", metric, "epochs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("parameters")
    for i, trial in enumerate(ranked):
        best_epoch = trial.user_attrs.get("best_epoch")
        epochs = str(results.epochs_run(trial))
        table.add_row(
            str(trial.number),
            f"{trial.value:.4f}",
            epochs if best_epoch is None else f"{best_epoch + 1} of {epochs}",
            params_words(trial.params) + _source(trial),
            style="bold green" if i == 0 else "",
        )
    return table


def _source(trial: "FrozenTrial") -> str:
    """Of a trial that is known from another study, which it is."""
    if not chains.is_known(trial):
        return ""
    known = trial.user_attrs[chains.KNOWN]
    return f" (trial {known['trial']} of {known['study']})"


def _published_table(study: "optuna.Study", spec: "StudySpec") -> Table | None:
    """What others reported for the named configurations, beside what was measured here."""
    named = spec.configurations or [b for b in spec.baselines if b.published]
    if not named:
        return None
    trials, known = study.get_trials(deepcopy=False), evidence.of(study)
    own = results.metric(study).removeprefix("val_")
    tested = {n: f"{t[own]:.4f}" for n, t in testset.scores(study).items() if own in t}
    tested |= {c.number: c.test.short for c in (known.candidates if known else ()) if c.test}
    by_name = {t.user_attrs.get("configuration"): t for t in trials}
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("configuration", no_wrap=True)
    for column in ("published", "test", results.metric(study), "epochs", "ended"):
        table.add_column(column, justify="left" if column in ("published", "ended") else "right")
    for item in named:
        trial = by_name.get(item.name)
        published = ", ".join(f"{k} {v}" for k, v in item.published.items()) or "-"
        table.add_row(item.name, published, *_measured(trial, tested))
    return table


def _measured(trial: "FrozenTrial | None", tested: dict[int, str]) -> list[str]:
    """Test score, score, epochs and reason of one configuration."""
    if trial is None:
        return ["-", "-", "-", "not yet"]
    return [
        tested.get(trial.number, "-"),
        "-" if trial.value is None else f"{trial.value:.4f}",
        str(results.epochs_run(trial)),
        chains.reason_of(trial) or trial.state.name.lower(),
    ]


def print_table(rows: Sequence[dict[str, str]]) -> None:
    """Words under heads; the last column takes as many lines as it needs."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    *short, last = rows[0]
    for column in short:
        table.add_column(column, no_wrap=True)
    table.add_column(last)
    for row in rows:
        table.add_row(*row.values())
    console.print(table)


def print_epochs(rows: Sequence[dict[str, Any]]) -> None:
    """A row per epoch, as `show --history` prints them."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        cells = (row.get(column) for column in columns)
        table.add_row(*(f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells))
    console.print(table)
