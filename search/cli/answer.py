"""The answer of a study: tested once, printed, and written to YAML. `run` and `confirm` end so."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import optuna

    from search.cli.log import Silent
    from search.spec import StudySpec
    from search.workers.process import Process


def give(
    study: "optuna.Study",
    spec: "StudySpec",
    workdir: Path,
    device: str,
    out: Path,
    log: "Silent",
    *,
    interrupted: bool,
    again: str = "",
) -> None:
    """Read the test set where nothing is chosen any more, print the best, and write the first.

    Args:
        again: the command that searches on; "" where there is nothing more to search.

    Raises:
        RunFailedError: no trial has completed, so that there is no answer.
    """
    from search import budget, plots, results
    from search.answers import confirm, export
    from search.cli import summary
    from search.errors import RunFailedError
    from search.workers import process

    trials = study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        told = failed.user_attrs.get("error", "its process died (no traceback can tell why)")
        raise RunFailedError(
            f"stopped: each of the first trials failed; the first:\n{told.rstrip()}"
        )
    best = confirm.answer(study)
    if best is not None:
        with process.Process() as asked:
            if not interrupted:
                _test(asked, study, spec, workdir, device)
            if (other := export.study_in(out)) not in (None, study.study_name):
                typer.echo(f"{out}: replaces the answer of study '{other}'", err=True)
            resolved = asked.ask("resolve", study=spec, **export.identity(best))
        export.write(out, export.document(study, spec, best, resolved))
        plots.store(study)  # for whoever looks with optuna-dashboard
    file = out if best else None
    log.answer(
        study.study_name,
        lambda: summary.print_answer(study, spec, file, again),
        lambda: results.summary(study, spec.trials) | {"file": file and str(file)},
    )
    if trials and best is None and all(t.state.is_finished() for t in trials):
        raise RunFailedError(
            "no trial has completed, so there is no best configuration; "
            "the lines above tell how the trials ended"
        )


def _test(
    asked: "Process", study: "optuna.Study", spec: "StudySpec", workdir: Path, device: str
) -> None:
    """One look at the test set: at all of a study that enumerates, and at confirmed models."""
    from search import results
    from search.answers import confirm, evidence, testset

    ask = functools.partial(asked.ask, "evaluate", study=spec, device=device)
    if spec.configurations and all(t.state.is_finished() for t in study.get_trials(deepcopy=False)):
        ranked = results.ranking(study)
        testset.read_once(study, ranked, workdir, lambda folder: ask(workdir=folder))
    runs = evidence.sibling(study)
    if runs is not None and runs.user_attrs.get(evidence.CHOICE):
        confirm.test(runs, workdir, lambda folder: ask(workdir=folder))
        confirm.publish(study)


def takes_seed(asked: "Process", spec: "StudySpec") -> bool:
    """Whether another seed makes another run of this objective."""
    return bool(asked.ask("takes", study=spec, argument="seed"))


def require_seed(asked: "Process", spec: "StudySpec") -> None:
    """Raise ObjectiveError where a fresh seed would change nothing."""
    from search.errors import ObjectiveError

    if not takes_seed(asked, spec):
        raise ObjectiveError(
            f"objective: {spec.objective} must take a seed to be confirmed, but declares none; "
            "declare a parameter `seed` and draw all randomness from it"
        )
