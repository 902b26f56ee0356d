"""Where in the space of an arm its best is looked for first: near what is known to be good.

A row of the portfolio, or a baseline, is an expert's guess. As in piBO (Hvarfner et al.,
2204.11051) the chance that the model gives a new configuration is weighed by how near it lies to
such a row, less and less as the arm is known better. Without it the first handful of runs of an
arm go to the corners of the space, where the model knows least.
"""

import numpy as np
import numpy.typing as npt

from search.strategy.seen import Seen

Array = npt.NDArray[np.float64]
WIDTH = 0.25  # standard deviation about a row, in widths of a number's range (of its logarithm)
IN_FULL = 10  # configurations of an arm until which its rows count in full, then ever less


def logarithms(seen: Seen, places: Array, arm: int) -> Array:
    """Of the weighed prior density at places, up to a constant, float [n]: 0 at a row of the arm.

    Choices weigh nothing: a row says little of those that it was not published for. An arm
    without a row has no prior.
    """
    rows = _rows(seen, arm)
    numbers = np.array([not d.choices for d in seen.points.dimensions], bool)
    if not len(rows) or not numbers.any():
        return np.zeros(len(places))
    apart = places[:, None, numbers] - seen.places[rows][None][:, :, numbers]
    weight = min(1.0, IN_FULL / max(int((seen.arms == arm).sum()), 1))
    return -0.5 * weight * np.asarray(np.nansum((apart / WIDTH) ** 2, axis=2).min(axis=1), float)


def has_rows(seen: Seen, arm: int) -> bool:
    return bool(len(_rows(seen, arm)))


def _rows(seen: Seen, arm: int) -> npt.NDArray[np.intp]:
    named = [i for i, run in enumerate(seen.runs) if run.name is not None and seen.arms[i] == arm]
    return np.array(named, np.intp)
