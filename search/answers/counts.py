"""How the trials of a study ended, in lines."""

from collections.abc import Sequence
from typing import NamedTuple

from optuna.trial import FrozenTrial

from search.record import chains, results
from search.record.progress import duration


def of(trials: Sequence[FrozenTrial]) -> str:
    """`40 trials: 14 complete (plateau 9, all_epochs 5), 26 pruned (hopeless 25, diverged 1)`."""
    superseded = chains.superseded(list(trials))
    parts = []
    for state in results.STATES:
        rows = [t for t in trials if results.state_of(t, superseded) == state]
        reasons = [r for t in rows if (r := chains.reason_of(t))]
        if rows:
            told = ", ".join(f"{r} {reasons.count(r)}" for r in dict.fromkeys(reasons))
            parts.append(f"{len(rows)} {state}" + (f" ({told})" if told else ""))
    return f"{chains.started(list(trials))} trials: {', '.join(parts) or 'none yet'}"


def errors(trials: Sequence[FrozenTrial]) -> list[str]:
    """What exceptions said, the same words once, with the trials that they ended."""
    said: dict[str, list[int]] = {}
    for trial in trials:
        if error := results.error_line(trial):
            said.setdefault(error, []).append(trial.number)
    return [
        f"failed: {error} (trial {', '.join(map(str, numbers[:5]))}{', ...' * bool(numbers[5:])})"
        for error, numbers in said.items()
    ]


class Spent(NamedTuple):
    """Epochs that were run, those of paused and running trials too, and those that pruning and
    patience have saved."""

    run: int
    pruned: int
    patient: int


def spent(trials: Sequence[FrozenTrial]) -> Spent | None:
    """Of the trials that told how many epochs were planned; None where none did."""
    superseded = chains.superseded(list(trials))
    planned = [
        t
        for t in trials
        if "epochs_planned" in t.user_attrs
        and not chains.is_known(t)
        and t.state.is_finished()
        and t.number not in superseded  # its retry goes on from its epochs
    ]
    if not planned:
        return None
    spared = {
        reason: sum(
            t.user_attrs["epochs_planned"] - results.epochs_run(t)
            for t in planned
            if t.user_attrs.get("reason") == reason
        )
        for reason in ("hopeless", "plateau")
    }
    return Spent(results.epochs_in_all(trials), spared["hopeless"], spared["plateau"])


def saved(trials: Sequence[FrozenTrial]) -> str | None:
    """Epochs run, and epochs saved by pruning and by patience."""
    if (found := spent(trials)) is None:
        return None
    return f"epochs: {found.run} run; saved {found.pruned} by pruning, {found.patient} by patience"


def cost(trials: Sequence[FrozenTrial], runs: Sequence[FrozenTrial]) -> str:
    """What it took, in a sentence; the time is that of all workers, one after the other.

    Args:
        runs: on fresh seeds.
    """
    told = f"{chains.started(list(trials))} trials"
    if ended := sum(t.state.is_finished() for t in runs):
        told += f" and {ended} {'run' if ended == 1 else 'runs'} on fresh seeds"
    both = (*trials, *runs)
    epochs = results.epochs_in_all(trials) + results.epochs_in_all(runs)
    took = sum(results.seconds(t) or 0.0 for t in both if not chains.is_known(t))
    spans = [f"{epochs} epochs"] * bool(epochs) + [f"{duration(took)} of training"] * bool(took)
    told += f": {', '.join(spans)}" if spans else ""
    found = spent(trials)
    saved = [(found.pruned, "pruning"), (found.patient, "patience")] if found else []
    why = " and ".join(f"{number} by {what}" for number, what in saved if number)
    return f"Cost: {told}" + (f"; epochs saved: {why}." if why else ".")
