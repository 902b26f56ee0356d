"""What a study may spend, and whether that pays for the least that it has to."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from search.errors import SpecError
from search.record import tried
from search.record.budget import Limits
from search.studyfile import points
from search.studyfile.spec import StudySpec


def limits(spec: StudySpec, longest: int | None) -> Limits:
    """The limits of a study.

    Args:
        longest: the most epochs that a trial can take, as `prepare` told; else the settings say.

    Raises:
        SpecError: a budget of epochs cannot be kept, or does not pay for the least.
    """
    longest = longest or int(spec.settings.get("epochs") or 0)
    epochs = spec.budget.epochs
    if not longest and (epochs is not None or spec.is_stepwise):
        what = f"strategy {spec.strategy.name}" if epochs is None else "budget.epochs"
        raise SpecError(
            f"{what}: how many epochs a trial can take must be known; "
            "add settings.epochs, or let the objective's `prepare` tell `epochs`"
        )
    if epochs is not None and epochs < longest:
        raise SpecError(
            f"budget.epochs: must be at least one trial's {longest} epochs, got {epochs}; raise it"
        )
    if spec.is_stepwise:
        _check_floor(spec, longest)
    once = None if spec.is_stepwise else points.of(spec.space)  # a strategy of its own looks out
    return Limits(spec.trials, epochs, longest, False, spec.is_stepwise, spec.budget.retries, once)


def trials(spec: StudySpec) -> int | None:
    """How many trials there can be: those of the budget, or fewer where the space has no more
    points; None without either limit."""
    finite = points.of(spec.space)
    most = [n for n in (spec.trials, finite and finite.number) if n is not None]
    return min(most, default=None)


def beyond(spec: StudySpec) -> str:
    """A line where the budget has more trials than the space has points; "" otherwise."""
    finite = points.of(spec.space)
    if finite is None or spec.trials is None or spec.trials <= finite.number:
        return ""
    return (
        f"the space has {finite.number} points, the budget {spec.trials} trials: each point is "
        "trained once, and then the search ends"
    )


def short(spec: StudySpec) -> str:
    """A line where a command asks for fewer trials than the question has values; "" otherwise. (A
    study file that does is refused.)"""
    if not spec.is_stepwise or spec.trials is None or spec.trials >= spec.arms:
        return ""
    return (
        f"{spec.trials} trials are fewer than the {spec.arms} values of {spec.by}: not each is "
        "tried, so the question stays open"
    )


def is_spent(spec: StudySpec, trials: Sequence[FrozenTrial]) -> bool:
    """Whether each point of the space is tried, so that no larger budget finds a new one."""
    return tried.is_all(points.of(spec.space), trials)


def _check_floor(spec: StudySpec, longest: int) -> None:
    """Every value of `by` is trained to its end at least once."""
    arms, epochs = spec.arms, spec.budget.epochs
    if epochs is not None and arms * longest > epochs:
        raise SpecError(
            f"budget.epochs: by {spec.by} each of {arms} values is trained to its end at least "
            f"once, {arms} x {longest} = {arms * longest} epochs, got {epochs}; raise it, "
            "or use `by: none`"
        )
