"""The answer of a study: tested once, printed, and written to YAML. `run` and `confirm` end so."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import optuna

    from search.cli.log import Silent
    from search.studyfile.spec import Confirm, StudySpec
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
    from search import plots
    from search.answers import confirm, export
    from search.cli import summary
    from search.errors import ObjectiveError, RunFailedError
    from search.record import budget, results
    from search.workers import process

    trials = study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        told = failed.user_attrs.get("error", "its process died (no traceback can tell why)")
        raise RunFailedError(
            f"stopped: each of the first trials failed; the first:\n{told.rstrip()}"
        )
    best, trouble = confirm.answer(study), None
    if best is not None:
        with process.Process() as asked:
            resolved = asked.ask("resolve", study=spec, **export.identity(best))
        if (other := export.study_in(out)) not in (None, study.study_name):
            typer.echo(f"{out}: replaces the answer of study '{other}'", err=True)
        export.write(out, export.document(study, spec, best, resolved))
        try:
            if not interrupted:
                _test(study, spec, workdir, device)
        except (ObjectiveError, KeyboardInterrupt) as error:  # what is known is told all the same
            trouble = error
        export.write(out, export.document(study, spec, best, resolved))
        plots.store(study)  # for whoever looks with optuna-dashboard
    file = out if best else None
    log.answer(
        study.study_name,
        lambda: summary.print_answer(study, spec, file, again),
        lambda: results.summary(study, spec.trials) | {"file": file and str(file)},
    )
    if isinstance(trouble, ObjectiveError):
        raise ObjectiveError(f"the test set could not be read by `evaluate`: {trouble}")
    if trouble is not None:
        raise trouble
    if trials and best is None and all(t.state.is_finished() for t in trials):
        raise RunFailedError(
            "no trial has completed, so there is no best configuration; "
            "the lines above tell how the trials ended"
        )


def _test(study: "optuna.Study", spec: "StudySpec", workdir: Path, device: str) -> None:
    """One look at the test set: at all of a study that enumerates, and at confirmed models."""
    from search.answers import confirm, evidence, testset
    from search.record import results
    from search.workers import process

    finished = all(t.state.is_finished() for t in study.get_trials(deepcopy=False))
    enumerated = results.ranking(study) if spec.configurations and finished else []
    runs, known = evidence.sibling(study), evidence.of(study)
    with process.Process() as asked:
        ask = functools.partial(asked.ask, "evaluate", study=spec, device=device)
        testset.read_once(study, enumerated, workdir, lambda folder: ask(workdir=folder))
        if runs is not None and known is not None and known.over and known.winner is not None:
            confirm.publish(study)
            confirm.test(runs, workdir, lambda folder: ask(workdir=folder))
            confirm.publish(study)


def is_confirmed(study: "optuna.Study", plan: "Confirm") -> bool:
    """Whether the confirm stage has come to its end, or was not wanted."""
    from search.answers import evidence

    known = evidence.of(study)
    return not plan.seeds or (known is not None and known.over)


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
