"""What may be done to the pixels of a batch, to each image as much as its own number says.

Each function: images uint8 [B, C, H, W] of 0..255, amount float32 [B] -> images likewise.
Values are those of torchvision's v2 functions, which take one number for all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Operation = Callable[[Tensor, Tensor], Tensor]
GRAY = (0.2989, 0.587, 0.114)  # how bright red, green and blue are


def moved(
    images: Tensor,
    matrix: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    mode: str = "nearest",
) -> Tensor:
    """Take each new pixel from u' = a u + b v + c, v' = d u + e v + f of the old image, in pixels
    from its middle; black where that lies outside.

    matrix: a to f, float32 [B] each. mode: nearest or bilinear.
    """
    height, width = images.shape[-2:]
    a, b, c, d, e, f = matrix
    ratio = height / width
    rows = [a, b * ratio, c * (2 / width), d / ratio, e, f * (2 / height)]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    pixels = F.grid_sample(images.float(), grid, mode=mode, align_corners=False)
    return _bytes(pixels.round_())


def rotation(degrees: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The matrix that turns images counterclockwise about their middle."""
    angle, zero = torch.deg2rad(degrees), torch.zeros_like(degrees)
    cos, sin = angle.cos(), angle.sin()
    return cos, -sin, zero, sin, cos, zero


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Counterclockwise about the middle, bilinear."""
    return moved(images, rotation(degrees), "bilinear")


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """0 is black, 1 leaves it."""
    return _bytes(images * _each(factor))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """0 is the mean gray everywhere, 1 leaves it."""
    return _blended(images, _gray(images).mean((1, 2, 3), keepdim=True), factor)


def color(images: Tensor, factor: Tensor) -> Tensor:
    """0 is gray, 1 leaves it; gray images stay as they are."""
    return images if images.shape[1] == 1 else _blended(images, _gray(images), factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """0 is smoothed, 1 leaves it; the outermost pixels stay."""
    if min(images.shape[-2:]) <= 2:
        return images
    pixels = images.float()
    inner = pixels[..., 1:-1, 1:-1]
    smooth = pixels.clone()
    smooth[..., 1:-1, 1:-1] = ((F.avg_pool2d(pixels, 3, 1) * 9 + 4 * inner) / 13).round()
    return _blended(images, smooth, factor)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep so many bits of a pixel, 0 to 8."""
    step = torch.exp2(8 - _each(bits))
    return _bytes((images.float() / step).floor() * step)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert pixels that are at least as bright."""
    return torch.where(images >= _each(threshold), 255 - images, images)


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to 0..255; one of a single value stays."""
    low, high = (images.float().amin((2, 3), True), images.float().amax((2, 3), True))
    flat = low == high
    low, size = low.masked_fill(flat, 0), ((high - low) / 255).masked_fill(flat, 1)
    return _bytes((images - low) / size)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Make each channel's values equally frequent, as PIL does."""
    batch, channels, height, width = images.shape
    values = images.reshape(batch * channels, height * width).long()
    counts = torch.zeros(batch * channels, 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, values, torch.ones_like(values))
    upto = counts.cumsum(1)
    brightest = counts.gather(1, values.amax(1, keepdim=True))
    step = (height * width - brightest) // 255
    table = F.pad((upto + step // 2) // step.clamp(min=1), (1, 0))[:, :-1].clamp_(0, 255)
    spread = torch.where(step == 0, values, table.gather(1, values))
    return spread.to(torch.uint8).view(batch, channels, height, width)


def _each(amount: Tensor) -> Tensor:
    return amount.view(-1, 1, 1, 1)


def _gray(images: Tensor) -> Tensor:
    """Whole numbers, float32 [B, 1, H, W]; of other channels than three their mean."""
    if images.shape[1] != 3:
        return images.float().mean(1, keepdim=True).floor_()
    red, green, blue = images.float().unbind(1)
    return (red * GRAY[0] + green * GRAY[1] + blue * GRAY[2]).floor_().unsqueeze(1)


def _blended(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    share = _each(factor)
    return _bytes(images * share + other * (1 - share))


def _bytes(pixels: Tensor) -> Tensor:
    """Cut off at 0 and 255, and what is behind the point."""
    return pixels.clamp(0, 255).to(torch.uint8)
