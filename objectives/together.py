"""Training and validation images together: a last training, of which nothing is left to judge."""

from __future__ import annotations

from objectives import schedules
from objectives.config import TrainConfig
from objectives.feed import Data


def epochs(config: TrainConfig, data: Data, wanted: int | None) -> int | None:
    """After how many epochs a training ends; None where its validation images decide.

    Raises ValueError where they are to decide, and there are none.
    """
    validates = len(data.validation.labels) > 0
    if validates or wanted is None:
        assert validates == (wanted is None), "epochs are told where nothing is validated"
        return None
    if config.schedule == "phases" or "monitor" in schedules.SCHEDULES[config.schedule].reads:
        raise ValueError(
            f"schedule {config.schedule} goes by the validation images, which are trained on here; "
            "use another one, such as cosine, or train without them"
        )
    if wanted > config.epochs:
        raise ValueError(f"epochs {config.epochs}: fewer than the {wanted} to be trained; raise it")
    return wanted
