"""Several trained models as one: the mean of what each says (Lakshminarayanan, 1612.01474)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from objectives import classifier, measured
from objectives.classifier import Classifier

SEEDS = "seeds"  # the folder within a model's own that holds those of other seeds


class Mean(nn.Module):
    """Gives the logarithm of the mean probabilities, as logits: their softmax is that mean."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits float32 [B, classes] of what each member takes."""
        shares = [member(inputs).float().log_softmax(1) for member in self.members]
        return torch.stack(shares).logsumexp(0) - math.log(len(shares))


class Ensemble(Classifier):
    """Classifiers that read pictures alike, each with the scaling of its own training images."""

    def __init__(self, members: Sequence[Classifier]) -> None:
        first = members[0]
        super().__init__(first.network, first.about)
        self.mean = Mean(members)

    def forward(self, pixels: Tensor) -> Tensor:
        """As of one: logits float32 [B, classes] of uint8 pixels [B, C, H, W]."""
        logits: Tensor = self.mean(pixels)
        return logits


def load(folder: Path, device: str = "cpu", *, ensemble: bool = False) -> Classifier:
    """Read the model that `portable.save` wrote into a folder, ready to predict on the device; with
    `ensemble` together with those of other seeds, which lie in the folder `seeds` within.

    Nothing is unpickled or downloaded; torch's random numbers stay as they are. Raises ValueError,
    in one line, where a file is missing or was changed.
    """
    first = classifier.load(folder, device)
    if not ensemble:
        return first
    others = sorted(one for one in (Path(folder) / SEEDS).glob("*") if one.is_dir())
    if not others:
        raise ValueError(f"{folder}: holds the model of one seed alone, of which there is no mean")
    members = [first, *(classifier.load(one, device) for one in others)]
    return Ensemble(members).eval().to(first.factor.device)


def gain(workdirs: Sequence[Path], device: str = "auto") -> list[dict[str, Any]]:
    """What the models kept in these folders score on their validation images, one by one, and last
    their mean; a dict of scores each, as of `evaluate`.

    All must have been validated on the same images. Raises ValueError where they were not.
    """
    kept = [measured.kept(folder, "validation", device) for folder in workdirs]
    splits = {trained.config.split_seed for trained, _ in kept}
    if len(splits) > 1:
        raise ValueError(f"{len(splits)} splits of validation images: no mean is scored on them")
    scored = [measured.scores_of(trained, images) for trained, images in kept]
    trained, images = kept[0]
    trained.network = Mean([one.network for one, _ in kept])
    return [*scored, measured.scores_of(trained, images)]
