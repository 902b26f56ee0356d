"""Rules of augmentation: every pixel agrees with a slow reference that does one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from objectives import augment
from tests.objectives.counted import Counted

torch.set_num_threads(1)
CPU = torch.device("cpu")


def noise(batch: int = 8, channels: int = 3, height: int = 9, width: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, channels, height, width)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def reference(
    images: Tensor, draws: augment.Draws, crop: int, cutout: int, fill: list[int]
) -> np.ndarray:
    """Pad, slice and overwrite each image alone, with NumPy's own reflection."""
    out = []
    for i, image in enumerate(images.numpy()):
        _, height, width = image.shape
        if draws.flip is not None and draws.flip[i]:
            image = image[:, :, ::-1]
        if draws.shift is not None:
            top, left = (crop + int(axis[i]) for axis in draws.shift)
            padded = np.pad(image, ((0, 0), (crop, crop), (crop, crop)), mode="reflect")
            image = padded[:, top : top + height, left : left + width]
        image = image.copy()
        if draws.centre is not None:
            row, column = (int(axis[i]) - cutout // 2 for axis in draws.centre)
            for y in range(max(row, 0), min(row + cutout, height)):
                for x in range(max(column, 0), min(column + cutout, width)):
                    image[:, y, x] = fill
        out.append(image)
    return np.stack(out)


@settings(max_examples=60, deadline=None)
@given(
    flip=st.booleans(),
    crop=st.integers(0, 6),
    cutout=st.integers(0, 7),
    seed=st.integers(0, 2**31),
    fill=st.none() | st.just([7, 8, 9]),
    channels_last=st.booleans(),
)
def test_agrees_with_a_per_image_reference(
    flip: bool, crop: int, cutout: int, seed: int, fill: list[int] | None, channels_last: bool
) -> None:
    """Given the same draws, batch and single images give the same bytes."""
    images = noise()
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    draws = augment.draw(
        images, torch.Generator().manual_seed(seed), flip=flip, crop=crop, cutout=cutout
    )
    filling = None if fill is None else torch.tensor(fill, dtype=torch.uint8).view(3, 1, 1)
    result = augment.augment(
        images,
        torch.Generator().manual_seed(seed),
        flip=flip,
        crop=crop,
        cutout=cutout,
        fill=filling,
    )
    assert result.dtype == torch.uint8
    expected = reference(images, draws, crop, cutout, fill or [0, 0, 0])
    np.testing.assert_array_equal(result.numpy(), expected)


def test_each_image_has_its_own_draw() -> None:
    """A batch of one image repeated comes out in many variants."""
    images = noise(1, 3, 32, 32).expand(64, 3, 32, 32)
    result = augment.augment(images, torch.Generator().manual_seed(0), flip=True, crop=4, cutout=8)
    assert len({image.numpy().tobytes() for image in result}) > 60


def test_draws_are_uniform() -> None:
    """Half the images are mirrored; each shift and each cut-out centre is equally likely."""
    images = noise(1, 1, 8, 8).expand(20000, 1, 8, 8)
    draws = augment.draw(images, torch.Generator().manual_seed(0), flip=True, crop=2, cutout=3)
    assert draws.flip is not None
    assert draws.shift is not None
    assert draws.centre is not None
    assert draws.flip.float().mean().item() == pytest.approx(0.5, abs=0.02)
    for axis in draws.shift:
        assert np.bincount(axis.numpy() + 2) / 20000 == pytest.approx([0.2] * 5, abs=0.02)
    for axis in draws.centre:
        assert np.bincount(axis.numpy()) / 20000 == pytest.approx([0.125] * 8, abs=0.02)


def test_the_same_generator_state_gives_the_same_images() -> None:
    """So that a resumed run equals an uninterrupted one."""
    generator = torch.Generator().manual_seed(5)
    state = generator.get_state()
    first = augment.augment(noise(), generator, flip=True, crop=2, cutout=3)
    generator.set_state(state)
    assert torch.equal(first, augment.augment(noise(), generator, flip=True, crop=2, cutout=3))


def test_nothing_asked_is_nothing_done() -> None:
    """Without augmentation the batch comes back itself and nothing is drawn."""
    generator, images = torch.Generator().manual_seed(0), noise()
    state = generator.get_state()
    assert augment.augment(images, generator) is images
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("crop", [-1, 7, 100])
def test_a_crop_beyond_the_image_is_refused(crop: int) -> None:
    """Reflection has only side - 1 pixels to give."""
    with pytest.raises(ValueError, match=f"0 <= crop < 7 must hold for 9x7 images, got {crop}"):
        augment.check(crop=crop, cutout=0, shape=(3, 9, 7))
    augment.check(crop=6, cutout=7, shape=(3, 9, 7))


@pytest.mark.parametrize("cutout", [-1, 8])
def test_a_cutout_beyond_the_image_is_refused(cutout: int) -> None:
    """A square no larger than the image."""
    with pytest.raises(ValueError, match=f"0 <= cutout <= 7 must hold .* got {cutout}"):
        augment.check(crop=0, cutout=cutout, shape=(3, 9, 7))


def test_statistics_are_those_of_the_pixels() -> None:
    """Mean and standard deviation per channel in 0..1, as NumPy computes them from floats."""
    images = noise(50).numpy()
    mean, std = augment.statistics(images, 255.0)
    floats = images.astype(np.float64) / 255
    assert mean == pytest.approx(floats.mean((0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(floats.std((0, 2, 3)), rel=1e-12)


def test_scale_brings_pixels_to_zero_and_one() -> None:
    """0 stays 0, `scale` becomes 1, whatever it is."""
    pixels = torch.tensor([0, 8, 16], dtype=torch.uint8).view(1, 1, 1, 3)
    assert augment.scale(pixels, augment.scaling(16.0, CPU)).flatten().tolist() == [0, 0.5, 1]


def test_normalised_images_have_mean_zero_and_deviation_one() -> None:
    """With the training statistics, per channel."""
    images = noise(200)
    mean, std = augment.statistics(images.numpy(), 255.0)
    result = augment.scale(images, augment.scaling(255.0, CPU, mean, std))
    assert result.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert result.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_a_constant_channel_does_not_divide_by_zero() -> None:
    """A blank channel is centred and stays finite."""
    blank = torch.full((4, 1, 2, 2), 255, dtype=torch.uint8)
    mean, std = augment.statistics(blank.numpy(), 255.0)
    assert augment.scale(blank, augment.scaling(255.0, CPU, mean, std)).abs().max().item() < 1e-6


@pytest.mark.parametrize("mean", [None, (0.4, 0.5, 0.6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_scales_in_one_kernel(mean: tuple[float, ...] | None, dtype: torch.dtype) -> None:
    """The numbers and the layout of three: conversion, the affine map in float32, rounding."""
    images, scaling = noise(), augment.scaling(255.0, CPU, mean, mean)
    with Counted() as counted:
        got = augment._scaled_at_once(images, scaling, dtype, torch.channels_last)
    assert counted.calls == {"empty_like": 1, "mul" if mean is None else "addcmul": 1}
    wanted = augment.scale(images, scaling, dtype, torch.channels_last)
    assert torch.equal(got, wanted)
    assert got.stride() == wanted.stride()


def test_scale_gives_the_asked_type_and_layout() -> None:
    """bfloat16 is rounded once, from float32; channels_last is made on the way."""
    images, scaling = noise(), augment.scaling(255.0, CPU)
    result = augment.scale(images, scaling, torch.bfloat16, torch.channels_last)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, augment.scale(images, scaling).to(torch.bfloat16))
