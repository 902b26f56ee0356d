"""The models of all seeds that confirmed a winner, kept beside the best one's: for their mean."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna

from search.answers import evidence
from search.answers.held import SEEDS
from search.record import chains
from search.record import study as studies

LARGE = 100_000_000  # bytes of a folder, from which on its size is told when it is made
Gain = Sequence[Mapping[str, float]]  # the scores of each model, and last those of their mean


class Run(NamedTuple):
    """A training that confirmed the winner: its seed, its score, and where it kept its model."""

    seed: int
    score: float
    workdir: Path


def of_winner(study: optuna.Study, workdir: Path) -> list[Run]:
    """All that were scored, by what they scored, the best first; [] where none was confirmed."""
    known, runs = evidence.of(study), evidence.sibling(study)
    if known is None or runs is None or not known.over or known.winner is None:
        return []
    found = [
        Run(
            int(run.user_attrs["seed"]),
            float(run.value or 0.0),
            studies.folder(runs, workdir) / str(chains.of(run)),
        )
        for run in filter(evidence.is_scored, known.winner.runs)
    ]
    sign = known.sign
    return sorted(found, key=lambda run: -sign * run.score)


def keep(
    others: Sequence[Run], part: Path, save: Callable[[Path, Path], Sequence[str] | None]
) -> list[str]:
    """Save each into the model's folder; the names of the files, relative to it."""
    files = []
    for run in others:
        place = part / SEEDS / str(run.seed)
        place.mkdir(parents=True)
        files += [str(Path(SEEDS, str(run.seed), name)) for name in save(run.workdir, place) or ()]
    return files


def size(told: Mapping[str, Any]) -> str:
    """What the other seeds' models take, and that nobody else needs them. told: as of `gained`."""
    return (
        f"{SEEDS}/ takes {told['bytes'] / 1e6:,.1f} MB for the models of the other seeds, and may "
        "be removed: this one needs none of them"
    )


def about(
    study: optuna.Study, runs: Sequence[Run], gain: Gain | None, taken: int
) -> dict[str, Any]:
    """What the manifest tells of the mean of the models; {} where there is one model alone.

    Args:
        runs: whose models are kept, the best first.
        taken: bytes that those but the best take.
        gain: their scores on validation and those of the mean; None where none can be told.
    """
    known = evidence.of(study)
    if len(runs) < 2 or known is None:
        return {}
    told: dict[str, Any] = {"seeds": [run.seed for run in runs], "bytes": taken}
    name = known.metric.removeprefix("val_")
    if gain and all(name in scores for scores in gain):
        *alone, mean = (scores[name] for scores in gain)
        told |= {"metric": known.metric, "ensemble": mean, "images": int(gain[-1].get("n", 0))}
        told |= {"alone": dict(zip(map(str, told["seeds"]), alone, strict=True))}
    return told


def gained(told: Mapping[str, Any]) -> str:
    """One line: what the mean is worth, beside its models. told: what `about` has made."""
    number = f"the mean of {len(told['seeds'])} models, seeds {', '.join(map(str, told['seeds']))}"
    if "alone" not in told:
        return (
            f"{number}: what it gains is not known, as they have no validation images in common, "
            "or their objective scores no mean"
        )
    alone = list(told["alone"].values())
    single, mean = sum(alone) / len(alone), told["ensemble"]
    return (
        f"{number}: {told['metric']} {mean:.4f} on {told['images']:,} validation images; one model "
        f"has {single:.4f} on average ({mean - single:+.4f}), the best {alone[0]:.4f} "
        f"({mean - alone[0]:+.4f})"
    )
