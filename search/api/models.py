"""A model that `run` or `train` has left, in the hand: `load_model("best")`."""

from pathlib import Path
from typing import Any


def load_model(folder: str | Path, device: str = "cpu", *, ensemble: bool = False) -> Any:
    """The model of a folder, ready to predict: of image classifiers a `torch.nn.Module`.

    Its `predict(files, top=1)` gives a row for each picture; called, it takes uint8 pixels [B, C,
    H, W], as its `read(file)` gives them, to logits. An objective of your own gives what its `load`
    returns.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, `mps` or `auto`.
        ensemble: the mean of the models of all confirmed seeds, in place of the best one's.

    Raises:
        OptsearchError: there is no model, or a file of it is missing or was altered.
    """
    from search.answers import held  # with nothing of the search: a service needs the model alone
    from search.workers import models

    whose = held.check(Path(folder), ensemble=ensemble)
    return models.load(Path(folder), *whose, device, ensemble)
