"""The command that searches on, as `run` tells it at its end."""

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.answers import evidence
from search.database import storage
from search.record import budget as budgets
from search.record import chains, ended, enough, floors
from search.record import study as studies
from search.studyfile import commands, durations

if TYPE_CHECKING:
    from search.service.answer import Answered


def command(done: "Answered", typed: Sequence[str] | None = None) -> str:
    """The command of this run as it was typed, with twice the budget once its own is used up, and
    with more time where its own was too short to confirm anything; "" where nothing is left.

    Args:
        typed: its words; those of this process by default.
    """
    words = list(sys.argv[1:] if typed is None else typed)
    for i, word in enumerate(words):
        for option in ("--storage", "--from-storage"):
            if words[i - 1] == option or word.startswith(f"{option}="):
                url = word.removeprefix(f"{option}=")
                words[i] = word.replace(url, storage.redacted(url))
    trials = done.study.get_trials(deepcopy=False)
    rule = studies.limits(done.study, done.spec).enough
    if done.is_settled and (line := enough.why(trials, rule)):
        return commands.join([*words, *commands.option("set", enough.off(line))])
    used = chains.started(trials)
    is_ended = done.is_settled and ended.by(done.study) is not None
    if done.is_settled and floors.is_spent(done.spec, trials):
        return ""
    if is_ended:
        used = max(used, done.spec.trials or 0)
    elif not done.is_settled or done.spec.trials is None or used < done.spec.trials:
        budget = done.spec.budget
        is_timed = budget.hours is not None or _without(words, "--timeout")[1] is not None
        is_used_up = done.is_settled and (not is_timed or _is_over(done))
        if budget.epochs and (is_used_up or _pays_no_confirming(done)):
            words += commands.option("set", f"budget.epochs={2 * budget.epochs}")
        return commands.join(_with_time(words, done))
    if done.spec.configurations:
        return ""
    words, _ = _without(words, "--trials")
    epochs = done.spec.budget.epochs  # more trials alone would find none of them left
    more = commands.option("set", f"budget.epochs={2 * epochs}") if epochs else []
    return commands.join([*words, *more, "--trials", 2 * used])


def _pays_no_confirming(done: "Answered") -> bool:
    """Whether the search has come to its end, and left too few epochs for any fresh seeds."""
    if done.is_settled or done.stopped is not None or evidence.sibling(done.study) is not None:
        return False
    return _is_over(done)


def _is_over(done: "Answered") -> bool:
    """Whether no trial would train under the present budget."""
    limits, trials = studies.limits(done.study, done.spec), done.study.get_trials(deepcopy=False)
    return budgets.is_over(trials, limits, budgets.settled(done.study, limits))


def _with_time(words: list[str], done: "Answered") -> list[str]:
    """With a `--timeout` in which the confirming comes to its end, where that of the command was
    too short for it: half of the time at most is kept for it."""
    rest, given = _without(words, "--timeout")
    if given is None or done.needs is None:
        return words
    seconds = max(2 * durations.seconds(given), 2 * done.needs)
    return [*rest, *commands.option("timeout", f"{math.ceil(seconds / 60)}m")]


def _without(words: Sequence[str], option: str) -> tuple[list[str], str | None]:
    """The words but for an option, and its value; None where it is not there."""
    rest, value = list(words), None
    for i, word in reversed(list(enumerate(words))):
        if word == option and i + 1 < len(words):
            value = value or words[i + 1]
            del rest[i : i + 2]
        elif word.startswith(f"{option}="):
            value = value or word.removeprefix(f"{option}=")
            del rest[i]
    return rest, value
