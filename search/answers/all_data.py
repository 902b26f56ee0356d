"""A last training on training and validation images together: how long, and what is told of it."""

from dataclasses import dataclass

from search.answers.replay import Best
from search.errors import UsageError

METRIC = "loss"  # of training: no score of images that were not trained on is left
NOT_COMPARED = (
    "not compared with the record: the validation images were trained on, too, so no score of "
    "theirs says anything; expect what the record's test score says, or a little more"
)


@dataclass(frozen=True)
class Epochs:
    """How many epochs are trained, and in words why."""

    count: int
    told: str


def epochs(best: Best, file: str) -> Epochs:
    """Those after which the best of the confirmed seeds had the weights that were scored.

    Raises:
        UsageError: the file tells none.
    """
    restored = bool(best.config.get("restore_best_weights", True))
    key = "best_epoch" if restored else "stop_epoch"
    measured = best.confirmed.of(best.metric)
    took = getattr(measured, key) if measured else {}
    scores = measured.seeds if measured else {}
    known = {seed: scores[seed] for seed in took if seed in scores}
    if known:
        pick = max if best.direction == "maximize" else min
        seed = pick(known, key=lambda one: known[one])
        return _told(took[seed] + 1, f"as many as seed {seed}, its best of {len(known)}, took")
    recorded = best.score.get(key)
    if not isinstance(recorded, int):
        raise UsageError(
            f"--all-data: {file} tells of no epochs that its seeds took, as its objective tells "
            "none; train with a number of epochs of your own"
        )
    return _told(recorded + 1, "as many as the search's own seed took; none of others is told")


def _told(count: int, why: str) -> Epochs:
    number = f"{count} epoch{'' if count == 1 else 's'}"
    return Epochs(
        count, f"trains on the training and validation images together for {number}, {why}"
    )
