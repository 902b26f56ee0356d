"""Whether a published claim holds here: `published: {rank: 1}` says that one was first."""

from collections.abc import Mapping, Sequence

import optuna
from optuna.study import StudyDirection

from search.answers import evidence, pairs, statistics
from search.answers.evidence import Evidence
from search.answers.fresh import Candidate
from search.record import study as studies

ALPHA = 0.05


def of_study(study: optuna.Study) -> str:
    """One sentence about the claim that the study file quotes; "" where it quotes none, or where
    nothing can be said yet."""
    spec, known = studies.stored_spec(study), evidence.of(study)
    named = (spec.configurations or spec.baselines) if spec else []
    first = next((item.name for item in named if item.published.get("rank") == 1), None)
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    return "" if known is None or first is None else judged(known, first, sign)


def judged(known: Evidence, first: str, sign: int) -> str:
    """What the evidence says of the claim that this configuration is first.

    Args:
        sign: 1 where high scores are good, else -1.
    """
    others = {c.configuration: c for c in known.candidates}
    claimed = others.pop(first, None)
    if not known.over or claimed is None or not others:
        return ""
    tested = all(len(c.tests) > 1 for c in known.candidates)
    measure = known.test_metric if tested else known.metric
    scores = {c.configuration: _scores(c, tested, sign) for c in known.candidates}
    if min(map(len, scores.values())) < 2:
        return f"Published: {first} is first. One seed cannot tell whether it is."
    spread = claimed.test_spread if tested else claimed.spread
    verdict = _verdict(claimed, list(others.values()), scores, measure, spread.overlap)
    return f"Published: {first} is first. {verdict}"


def _scores(candidate: Candidate, tested: bool, sign: int) -> dict[int, float]:
    """By seed, so that higher is better."""
    scores = candidate.tests if tested else candidate.scores
    return {seed: sign * score for seed, score in scores.items()}


def _verdict(
    claimed: Candidate,
    others: Sequence[Candidate],
    scores: Mapping[str | None, Mapping[int, float]],
    measure: str,
    overlap: float,
) -> str:
    """overlap: of the splits of the seeds, as of `statistics.variance_of_mean`."""
    own = scores[claimed.configuration]
    both = [_paired(own, scores[c.configuration]) for c in others]
    leads = pairs.holm([pairs.p_better(ours, theirs, overlap) for ours, theirs in both])
    trails = [pairs.p_better(theirs, ours, overlap) for ours, theirs in both]
    names = [str(c.configuration) for c in others]
    mean = statistics.interval(list(own.values())).mean
    above = [
        name
        for name, c in zip(names, others, strict=True)
        if statistics.interval(list(scores[c.configuration].values())).mean > mean
    ]
    better = [name for name, p in zip(names, pairs.holm(trails), strict=True) if p < ALPHA]
    if better:
        return f"That does not hold here: {', '.join(better)} has a better {measure}."
    if above:
        return (
            f"Here {', '.join(above)} has a better mean {measure}, but that may be chance: "
            "the claim is neither shown nor refuted."
        )
    open_ = [f"{n} (p {p:.2g})" for n, p in zip(names, leads, strict=True) if p >= ALPHA]
    if open_:
        return (
            f"Here its mean {measure} is the best, too, but its lead over {', '.join(open_)} "
            f"may be chance with {len(own)} seeds: the claim is not refuted, and not shown."
        )
    return (
        f"That holds here: its {measure} is above all others' (p at most {max(leads):.2g}, "
        f"{len(own)} seeds, paired t test, Holm)."
    )


def _paired(
    first: Mapping[int, float], second: Mapping[int, float]
) -> tuple[list[float], list[float]]:
    common = [seed for seed in first if seed in second]
    return [first[s] for s in common], [second[s] for s in common]
