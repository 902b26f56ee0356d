"""What `run` and `confirm` say at their end, and how they leave."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from signal import Signals

    from search.service.answer import Answered
    from search.service.prepare import Rehearsal
    from search.terminal.log import Log


def tell(done: "Answered", log: "Log", *, again: str = "") -> None:
    """Print the answer, then end as the run has ended.

    Args:
        again: the command that searches on; "" where there is nothing more to search.

    Raises:
        OptsearchError: what the run met in its last step.
        typer.Exit: it was broken off.
    """
    from search.cli import brief
    from search.record import results

    study, spec, file = done.study, done.spec, done.file
    log.answer(
        study.study_name,
        lambda: brief.print_answer(study, spec, file, again),
        lambda: results.summary(study, spec.trials) | {"file": file and str(file)},
    )
    if done.trouble is not None:
        raise done.trouble
    leave(done.stopped)


def tell_rehearsal(found: "Rehearsal", log: "Log") -> None:
    """Print what `--dry-run` found."""
    from search.cli import rehearsal

    log.answer(
        found.question.name,
        lambda: rehearsal.show(found),
        lambda: found.measured | {"workers": found.workers, "confirm_runs": found.confirm_runs},
    )


def leave(stopped: "Signals | None") -> None:
    """Exit as a shell expects of what a signal broke off: 130 after Ctrl-C, 143 after SIGTERM,
    129 after SIGHUP."""
    if stopped is not None:
        raise typer.Exit(128 + stopped)
