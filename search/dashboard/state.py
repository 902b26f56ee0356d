"""How a study stands, at the head of its live page: what is done, what is left, why it ended."""

from collections.abc import Iterator
from typing import Any

from search.answers import confirm, evidence
from search.answers.plans import Plan
from search.dashboard import onward, pieces
from search.dashboard.seen import Seen
from search.database import storage
from search.record import budget, chains, enough, next_step, results, spent
from search.record import study as studies
from search.record.budget import Limits
from search.record.progress import duration, seconds_left

COUNTS = ("complete", "pruned", "failed", "running", "paused", "waiting")
UNENDED = (
    "The search has not come to its end: the time of its run was up, or somebody has stopped it."
)


def state(seen: Seen) -> Iterator[str]:
    """What goes on and how far it is; where nothing does, why, and the command that goes on."""
    counts = results.counts(seen.trials)
    told = ", ".join(f"{counts[state]} {state}" for state in COUNTS if counts[state])
    at_work = "running" if seen.running else "nothing is running"
    if is_confirming(seen):
        at_work, told = "confirming on fresh seeds", f"of the search {told}"
    yield f"<p><strong>{at_work}</strong>: {told or 'no trial yet'}</p>"
    for done, most, words in _budgets(seen):
        yield (
            f'<p class="budget"><progress max="{most}" value="{min(done, most)}" '
            f'aria-label="{words}"></progress> <span>{words}</span></p>'
        )
    if seen.running:
        yield from (f"<p>{line}.</p>" for line in _time(seen))
        if line := enough.why(seen.trials, seen.limits.enough):
            yield f"<p>{pieces.words(line)}</p>"
    elif seen.spec is not None:
        yield from (f"<p>{pieces.words(line)}</p>" for line in _end(seen))


def is_confirming(seen: Seen) -> bool:
    """Whether all that runs does so on fresh seeds."""
    return bool(seen.running) and all(study is seen.runs for study, _ in seen.running)


# Budgets

Bar = tuple[int, int, str]  # done, of how many, and both in words


def _budgets(seen: Seen) -> Iterator[Bar]:
    if most := seen.limits.trials:
        is_over = is_confirming(seen) and spent.why(seen.study, seen.limits)
        done, note = chains.started(seen.trials), ": the search is over" if is_over else ""
        yield done, most, f"{done} of {most} trials{note}"
    yield from _epochs(seen)
    yield from _fresh(seen)


def _epochs(seen: Seen) -> Iterator[Bar]:
    """Of the budget; where some are kept for confirming, those of the search alone."""
    whole, most = seen.spec.budget.epochs if seen.spec else None, seen.limits.epochs
    if not whole or most is None:
        return
    done, more = enough.spent(seen.trials), enough.spent(seen.confirming)
    if whole == most:
        yield done + more, whole, f"{done + more} of {whole} epochs"
        return
    told = f"{done} of {most} epochs of the search"
    if not seen.confirming:
        told += f"; {whole - most} more are kept for confirming the best"
        if seen.running and (timely := _timely(seen)) is not None:
            told += f"; the time of its run is likely to pay {timely}"
    yield done, most, told


def _fresh(seen: Seen) -> Iterator[Bar]:
    """Of what is being confirmed: its epochs, where they are counted; else its runs."""
    if (plan := seen.plan) is None:
        return
    most, unit, done = plan.epochs, "epochs", enough.spent(seen.confirming)
    if most is None:
        known = evidence.at_work(seen.study)
        most, unit, done = len(plan.candidates) * plan.seeds, "runs", known.runs if known else 0
    yield done, most, f"{done} of at most {most} {unit} on fresh seeds"


def _timely(seen: Seen) -> int | None:
    """Epochs that the time of the run is likely to pay its search, where these are fewer than its
    budget has."""
    told, most = seen.study.user_attrs.get(studies.TIMELY), seen.limits.epochs
    is_fewer = isinstance(told, int) and most is not None and told < most
    return told if is_fewer else None


# Time


def _time(seen: Seen) -> Iterator[str]:
    """What is left, by the pace of what runs, and what a run may take."""
    if (plan := seen.plan) is not None and is_confirming(seen):
        left = seconds_left(seen.confirming, _limits(seen, plan), like=seen.trials)
        if left is not None:
            yield f"At most about {duration(left)} more at this pace: what loses clearly drops out"
    else:
        limits = seen.limits
        if (timely := _timely(seen)) is not None:
            limits = limits._replace(epochs=timely)
        left = seconds_left(seen.trials, limits)
        then = ", then its best are confirmed" if seen.study.user_attrs.get(confirm.WILL) else ""
        if left is not None:
            yield f"About {duration(left)} left for the search at this pace{then}"
    hours = seen.spec.budget.hours if seen.spec else None
    if hours is not None:
        yield f"Time limit of a command: {duration(3600 * hours)} (budget.hours)"


def _limits(seen: Seen, plan: Plan) -> Limits:
    """What the runs of a plan may take: all seeds of all candidates, or what epochs pay."""
    assert seen.runs is not None
    runs, longest = len(plan.candidates) * plan.seeds, evidence.longest(seen.runs)
    epochs = runs * longest if plan.epochs is None else min(runs * longest, plan.epochs)
    return Limits(trials=runs, epochs=epochs)


# The end


def _end(seen: Seen) -> Iterator[str]:
    """Why nothing runs, and the command that goes on; nothing while a run may be between two
    stages."""
    why = spent.why(seen.study, seen.limits)
    known = evidence.of(seen.study) if seen.runs else None
    is_confirmed = known is not None and known.winner is not None and seen.plan is None
    if not (is_confirmed or seen.is_quiet):
        return
    failed = budget.first_failures(seen.trials)
    if failed is not None:
        yield f"The search ended as each of its first trials failed: see trial {failed.number}."
    elif not seen.trials:
        yield "Nothing has begun."
    elif not why:
        yield UNENDED
    else:
        yield f"The search has ended: {why}."
    wants = bool(seen.study.user_attrs.get(confirm.WILL)) and bool(results.ranking(seen.study))
    if why and wants and not is_confirmed:
        has_begun = "has not come to its end" if seen.confirming else "has not begun"
        yield (
            f"Confirming its best on fresh seeds {has_begun}: "
            f"`{next_step.of(seen.study, 'confirm')}` goes on."
        )
    words, command = _search_on(seen, is_over=bool(why))
    if command:
        yield f"{words}: `{command}`"


def _search_on(seen: Seen, *, is_over: bool) -> tuple[str, str]:
    raw: Any = seen.study.user_attrs.get("spec")
    about = results.metric(seen.study), storage.place(seen.study)
    return onward.search_on(seen.study, raw, seen.trials, *about, is_over=is_over)
