"""What fresh seeds say, in plain sentences."""

import math
from collections.abc import Mapping
from typing import Any

from search.answers import measures, sizes, statistics
from search.answers.evidence import Evidence
from search.answers.fresh import Candidate
from search.answers.statistics import Interval
from search.record import results


def beside(known: Evidence, winner: Candidate, data: Mapping[str, Any]) -> list[str]:
    """What the winner is to be held against: always giving the same answer. A warning where it may
    be no better; else told where the classes are so uneven that it flatters an accuracy."""
    if warned := of_useless(known, winner, data):
        return warned
    value, classes = measures.of_majority(known.metric, data), data.get("classes")
    uneven = value and classes and results.is_share(known.metric) and value - 1 / classes > UNEVEN
    return [of_majority(known.metric, data)] if uneven else []


def of_useless(known: Evidence, winner: Candidate, data: Mapping[str, Any]) -> list[str]:
    """A warning where the winner may be no better than always giving the same answer."""
    value, about = measures.of_majority(known.metric, data), winner.interval
    if value is None or about is None or known.sign < 0:
        return []
    same = f"always saying '{data['majority']['class']}', which gives {value:.4f}"
    if about.mean <= value + LEVEL:
        return [
            f"It is no better than {same}: nothing was learned. Train longer, on larger images or "
            "on more of them, or with another network."
        ]
    if about.low is not None and about.low <= value:
        return [f"It is not sure to be better than {same}."]
    return []


def of_majority(metric: str, data: Mapping[str, Any]) -> str:
    """What always giving the same answer would score; "" where that is not known.

    Args:
        data: the facts of a study's data, as its objective told them.
    """
    value = measures.of_majority(metric, data)
    if value is None:
        return ""
    name = "" if results.is_share(metric) else f"{metric} "
    same = data["majority"]["class"]
    return f"Always saying '{same}' gives {name}{value:.4f} on the validation images."


def of_evidence(known: Evidence, begun: int, again: str) -> list[str]:
    """The answer in plain sentences, with what may not be concluded.

    Args:
        again: the command that confirms once more.
        begun: trials of the search that have begun by now.
    """
    lines = []
    winner = known.winner
    if winner is None:
        lines.append(
            "No candidate came through its fresh seeds: there is no confirmed answer."
            if known.over
            else f"Not confirmed yet, after {known.runs} runs: the same command goes on."
        )
    else:
        lines.append(_winner_words(known, winner))
    lines += of_pending(known)
    if (optimism := known.optimism) is not None and known.plan.race:
        how, by = ("worse", optimism.turned) if optimism.mean < 0 else ("better", optimism)
        lines.append(
            f"Optimism: the search's best (trial {known.plan.best}) had shown "
            f"{known.plan.score:.4f}, which is {how} by {by} than its mean on "
            "fresh seeds."
        )
    if begun > known.plan.trials and known.pending is None:
        lines.append(
            f"The search has gone on since, from {known.plan.trials} to {begun} trials: "
            f"`{again}` looks at what is best now."
        )
    lines += _tested(winner) if winner is not None else []
    about = of_images(winner) if winner is not None else []
    return [*lines, *_seen_before(known), *about, *sizes.sentences(known)]


def in_brief(known: Evidence, winner: Candidate, data: Mapping[str, Any]) -> list[str]:
    """The winner and its scores, and of what may not be concluded what changes the answer."""
    if winner.interval is None or winner.interval.n < 2:
        return [*of_evidence(known, known.plan.trials, ""), *beside(known, winner, data)]
    split = SPLIT if known.plan.splits else ""
    lines = [f"Winner: {_scores(known, winner)}{split}."]
    if (gap := _flattered(known, winner)) is not None:
        lines.append(
            f"Validation, which chose it, is better than its test by {gap:.4f}, more than chance "
            "explains: go by the test score."
        )
    lines += [*of_pending(known), *beside(known, winner, data)]
    about = [*_tested(winner), *_seen_before(known), *of_images(winner)]
    return [*lines, *about, *sizes.sentences(known)]


def of_pending(known: Evidence) -> list[str]:
    """That a later plan is at work, and whose answer this is until then."""
    if (plan := known.pending) is None:
        return []
    number = len(plan.candidates)
    who = f"{number} candidates" if number > 1 else "1 candidate"
    return [
        f"Confirmed by the earlier plan, of {known.plan.trials} trials. The new one, of "
        f"{plan.trials} ({who} on {plan.seeds} seeds), is not confirmed yet, after "
        f"{known.pending_runs} runs: until it is, this is the answer; the same command goes on."
    ]


def _tested(winner: Candidate) -> list[str]:
    if not 0 < len(winner.tests) < len(winner.scores):
        return []
    return [
        f"Tested: {len(winner.tests)} of the winner's {len(winner.scores)} models; the others "
        "are not in this --workdir."
    ]


def _seen_before(known: Evidence) -> list[str]:
    if not known.earlier:
        return []
    return [
        f"The test set was read before this choice, for {known.earlier} models of earlier "
        "confirmations: whoever decided to go on may have seen their scores."
    ]


LEVEL = 1e-4  # scores are told to so many digits
UNEVEN = 0.05  # by which the largest class is more than its share of even ones
SPLIT = ", each on another split of the training images"
FEW_WRONG = 5  # images: the best of a saturated validation differ by fewer than chance moves
FEW_IMAGES = 1000  # below, one of them is a tenth of a point and more


def of_images(winner: Candidate) -> list[str]:
    """Where the validation images, not the seeds, are what limits the answer."""
    about, images = winner.interval, winner.spread.images
    if about is None or about.low is None or about.images is None or images is None:
        return []
    one = f"one of the {images} validation images is {1 / images:.4f}"
    wrong = (1 - about.mean) * images
    if wrong < FEW_WRONG:
        return [
            f"Validation is nearly used up: the winner has {wrong:.2g} of {images} images wrong "
            f"({one}). Hold out more of them, or the best cannot be told apart."
        ]
    seeds = statistics.interval(list(winner.scores.values()), winner.spread.noise)
    by_seeds = 0.0 if seeds.low is None else seeds.mean - seeds.low
    if images < FEW_IMAGES and 2 * by_seeds**2 < (about.mean - about.low) ** 2:
        return [
            f"Few validation images: {one}, and the interval is mostly theirs. More seeds do not "
            "narrow it: hold out more images."
        ]
    return []


def _winner_words(known: Evidence, winner: Candidate) -> str:
    assert winner.interval is not None
    told = f"Winner: {_scores(known, winner)}"
    if winner.interval.n < 2:
        return f"{told[:-1]}; one seed tells nothing about the spread."
    told += SPLIT if known.plan.splits else ""
    if winner.interval.low is None:
        told += ", all equal: no interval can be told"
    if covered := _covered(winner):
        told += (
            f"; the intervals cover {', '.join(['other seeds', *covered[:-1]])} and {covered[-1]}"
        )
    if ties := ", ".join(str(c.number) for c in known.ties):
        told += f"; tied with {ties}: the difference may be chance"
    if not known.plan.race:
        return f"{told}."
    once = winner.test is not None and not known.earlier
    tested = "; the test set was read once, afterwards" if once else ""
    return f"{told}. {_chosen(known, winner)}{tested}."


def _scores(known: Evidence, winner: Candidate) -> str:
    """`trial 7, val_accuracy 0.91 (0.90 to 0.92), test_accuracy ... over 5 seeds`."""
    assert winner.interval is not None
    parts = [f"{known.metric} {winner.interval}"]
    if winner.test is not None:
        fewer = winner.test.n < winner.interval.n
        parts.append(f"{known.test_metric} {winner.test}" + f" of {winner.test.n} models" * fewer)
    return f"trial {winner.number}, {', '.join(parts)} over {winner.interval.n} seeds"


def _covered(winner: Candidate) -> list[str]:
    """`other splits`, `other images (270 of validation, 360 of test)`, as far as intervals do."""
    named = ((winner.interval, "validation"), (winner.test, "test"))
    told = [f"{i.images} of {split}" for i, split in named if i is not None and i.images]
    images = [f"other images ({', '.join(told)})"] if told else []
    return ["other splits", *images] if winner.splits else images


def _chosen(known: Evidence, winner: Candidate) -> str:
    """How far its validation scores, by which it was chosen, are to be believed."""
    if (gap := _flattered(known, winner)) is not None:
        return (
            f"Its validation scores are better than its test scores by {gap:.4f}, more than "
            "chance explains: go by the test score, as the validation images chose it"
        )
    return "It was chosen by its validation scores, so these look a little better than they are"


def _flattered(known: Evidence, winner: Candidate) -> float | None:
    """By how much validation is better than test, where that is more than chance explains."""
    seen, test = winner.interval, winner.test
    own = known.test_metric.removeprefix("test_") == known.metric.removeprefix("val_")
    if not own or seen is None or test is None:
        return None
    gap = known.sign * (seen.mean - test.mean)
    return gap if gap > _reach(seen, test, known.sign) else None


def _reach(seen: Interval, test: Interval, sign: int) -> float:
    """By how much validation may look better than test by chance; infinite where none can tell."""
    if None in (seen.low, seen.high, test.low, test.high):
        return math.inf
    down, up = (seen.low, test.high) if sign > 0 else (seen.high, test.low)
    return math.hypot(seen.mean - float(down or 0.0), test.mean - float(up or 0.0))
