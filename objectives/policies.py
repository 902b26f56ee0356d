"""TrivialAugment, RandAugment and AugMix: operations drawn for each image, in torchvision's ranges.

No host synchronisation and no shape that depends on data on a GPU, so a CUDA graph can hold it; a
CPU computes an operation for those images alone that drew it. Both give the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from objectives import pixels

GEOMETRIC = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
BLENDS = {  # by a factor around 1
    "brightness": pixels.brightness,
    "color": pixels.color,
    "contrast": pixels.contrast,
    "sharpness": pixels.sharpness,
}
OTHERS = {
    "posterize": pixels.posterize,
    "solarize": pixels.solarize,
    "auto_contrast": pixels.auto_contrast,
    "equalize": pixels.equalize,
}
OPERATIONS = ("identity", *GEOMETRIC, *BLENDS, *OTHERS)  # a number each: its place
SIGNED = len(GEOMETRIC) + len(BLENDS)  # so many after identity go either way
BINS, MIX_BINS = 31, 10
WIDTH, DEPTH, SEVERITY = 3, 3, 3  # of AugMix: chains, operations of the longest, hardest bin
NAMES = {
    "none": "no operation at all",
    "trivial": "TrivialAugment: one operation, however strong (2103.10158, the wide space)",
    "rand": "RandAugment: num_ops operations, all as strong as magnitude (1909.13719)",
    "augmix": "AugMix: mixed with three chains of weak operations (1912.02781), without its loss",
}


class Policy:
    """One of trivial, rand and augmix, for images of one shape on one device.

    magnitude: 0..30, num_ops: operations an image, both of rand.
    """

    def __init__(
        self, name: str, shape: tuple[int, int, int], device: torch.device, *, num_ops: int = 2,
        magnitude: int = 9,
    ) -> None:  # fmt: skip
        assert name in {*NAMES} - {"none"}
        _, height, width = shape
        self.name, self.num_ops, self.magnitude = name, num_ops, magnitude
        if name == "trivial":  # 2103.10158, the wide space
            sides = (float(min(32, height)), float(min(32, width)))
            table = _table(BINS, 0.99, sides, 135.0, 0.99, (8, 6))
        elif name == "rand":  # 1909.13719
            sides = (150 / 331 * height, 150 / 331 * width)
            table = _table(BINS, 0.3, sides, 30.0, 0.9, (8, 4))
        else:  # 1912.02781
            table = _table(MIX_BINS, 0.3, (height / 3, width / 3), 30.0, 0.9, (4, 4))
        self.mode = "bilinear" if name == "augmix" else "nearest"  # as torchvision
        self.table = table.to(device)  # float32 [operations, bins]
        self.on_cpu = device.type == "cpu"

    def __call__(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Images uint8 [B, C, H, W] of 0..255, each changed by a draw of its own."""
        if self.name == "augmix":
            return self._mixed(images, generator)
        for _ in range(self.num_ops if self.name == "rand" else 1):
            images = self.changed(images, *self._drawn(images, generator))
        return images

    def _drawn(self, images: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """An operation for each image, int64 [B], and how much of it, float32 [B]."""

        def integers(low: int, high: int) -> Tensor:
            shape = (len(images),)
            return torch.randint(low, high, shape, generator=generator, device=images.device)

        which = integers(0 if self.name != "augmix" else 1, len(OPERATIONS))
        if self.name == "rand":
            bins = torch.full_like(which, self.magnitude)
        else:
            bins = integers(0, BINS if self.name == "trivial" else SEVERITY)
        amount = self.table[which, bins]
        sign = 1 - 2 * integers(0, 2)
        return which, torch.where((which > 0) & (which <= SIGNED), amount * sign, amount)

    def changed(self, images: Tensor, which: Tensor, amount: Tensor) -> Tensor:
        """Each image after the operation of its number, int64 [B], by its amount, float32 [B]."""
        geometric = (which > 0) & (which <= len(GEOMETRIC))
        images = self._where(geometric, images, (which, amount), self._moved)
        for name, operation in (BLENDS | OTHERS).items():
            factor = 1 + amount if name in BLENDS else amount
            images = self._where(which == OPERATIONS.index(name), images, (factor,), operation)
        return images

    def _where(
        self,
        chosen: Tensor,
        images: Tensor,
        values: tuple[Tensor, ...],
        operation: Callable[..., Tensor],
    ) -> Tensor:
        """operation(images, *values) where chosen, bool [B]."""
        if not self.on_cpu:
            return torch.where(chosen.view(-1, 1, 1, 1), operation(images, *values), images)
        rows = chosen.nonzero().view(-1)
        if not len(rows):
            return images
        part = operation(images[rows], *(one[rows] for one in values))
        return images.index_copy(0, rows, part)

    def _moved(self, images: Tensor, which: Tensor, amount: Tensor) -> Tensor:
        """Shear, translate or rotate, each image by its own."""
        height, width = images.shape[-2:]
        shear_x, shear_y, right, down, turn = (
            torch.where(which == number, amount, 0.0) for number in range(1, len(GEOMETRIC) + 1)
        )
        cos, minus, _, sin, _, _ = pixels.rotation(turn)
        # sheared about the upper left corner, moved by whole pixels, as PIL and torchvision do
        u, v = shear_x * (height / 2) - right.trunc(), shear_y * (width / 2) - down.trunc()
        matrix = (cos, minus + shear_x, u, sin + shear_y, cos, v)
        return pixels.moved(images, matrix, self.mode)

    def _mixed(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Between an image and a mixture of three chains of one to three operations on it."""
        batch, device = len(images), images.device
        ones = torch.ones(batch, WIDTH, device=device)
        shares = torch.distributions.Dirichlet(ones, validate_args=False).sample()
        kept = torch.rand(batch, 1, generator=generator, device=device)  # Beta(1, 1)
        mixture = kept.view(-1, 1, 1, 1) * images
        for chain in range(WIDTH):
            depth = torch.randint(1, DEPTH + 1, (batch,), generator=generator, device=device)
            link = images
            for step in range(DEPTH):
                which, amount = self._drawn(images, generator)
                which = torch.where(step < depth, which, 0)
                link = self.changed(link, which, amount)
            share = (1 - kept[:, 0]) * shares[:, chain]
            mixture = mixture + share.view(-1, 1, 1, 1) * link
        return mixture.clamp_(0, 255).to(torch.uint8)


def _table(
    bins: int,
    shear: float,
    sides: tuple[float, float],
    degrees: float,
    blend: float,
    bits: tuple[int, int],
) -> Tensor:
    """How much of an operation each bin is, float32 [operations, bins].

    sides: pixels of the longest move down and across. bits: of the first bin, and how many fewer
    the last one keeps.
    """
    steps = torch.arange(bins)
    height, width = sides
    longest: Sequence[float] = (0, shear, shear, width, height, degrees, *[blend] * len(BLENDS))
    rows = [torch.linspace(0, most, bins) for most in longest]
    rows.append(bits[0] - (steps / ((bins - 1) / bits[1])).round())
    rows.append(torch.linspace(255, 0, bins))
    return torch.stack([*rows, torch.zeros(bins), torch.zeros(bins)])
