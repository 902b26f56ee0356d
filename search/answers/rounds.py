"""What the candidates of a race share in each round: a fresh seed, and where asked for a split."""

import hashlib
from collections.abc import Mapping
from typing import Any

import optuna

from search.record import chains

UNKNOWN = 0.25  # validation images per training image where nobody tells: a fifth is held out


def fresh_seed(seed: int, index: int) -> int:
    """The seed of a round, the same for all candidates; no trial of the search has had it."""
    digest = hashlib.sha256(f"{seed}:confirm:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def fresh_split(settings: Mapping[str, Any], index: int) -> int:
    """The split of a round; the search has had another one."""
    return int(settings.get(chains.SPLIT) or 0) + 1 + index


def overlap(study: optuna.Study) -> float:
    """How far the splits of a study share their images (`statistics.variance_of_mean`)."""
    data = study.user_attrs.get("data", {})
    held, kept = data.get("n_validation"), data.get("n_train")
    return float(held / kept) if held and kept else UNKNOWN
