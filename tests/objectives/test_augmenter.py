"""All augmentation of a configuration: what each knob does, in any scale of pixels."""

from pathlib import Path

import pytest
import torch

from objectives import augment
from objectives.augmenter import Augmenter
from objectives.check import check
from objectives.knobs import configure

CPU = torch.device("cpu")
SHAPE = (3, 16, 12)
NEW = {
    "vertical_flip": True, "rotate": 30.0, "auto_augment": "trivial", "color_jitter": 0.4,
    "erase": 1.0,
}  # fmt: skip


def noise(batch=32, shape=SHAPE, most=255):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, most + 1, (batch, *shape), generator=generator).to(torch.uint8)


def augmented(images, seed=0, scale=255.0, **values):
    config = configure({"dataset": "d", "network": "digits_cnn"}, {}) if not values else configure(
        {"dataset": "d", "network": "digits_cnn", **values}, {}
    )  # fmt: skip
    torch.manual_seed(seed)
    return Augmenter(config, tuple(images.shape[1:]), scale, CPU)(images, None)


@pytest.mark.parametrize("knob", NEW)
@pytest.mark.parametrize(("shape", "scale"), [(SHAPE, 255.0), ((1, 8, 8), 16.0)])
def test_each_knob_changes_images_each_by_its_own_draw(knob, shape, scale):
    """Colour and gray, of 0..255 and of 0..16; the brightest stays the brightest."""
    images = noise(1, shape, int(scale)).expand(32, *shape)
    result = augmented(images, scale=scale, **{knob: NEW[knob]})
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    assert int(result.max()) <= scale
    assert len({one.numpy().tobytes() for one in result}) > (1 if knob == "vertical_flip" else 10)
    assert torch.equal(result, augmented(images, scale=scale, **{knob: NEW[knob]}))


def test_what_was_there_before_draws_as_before():
    """flip, crop and cutout alone: the bytes of an earlier version."""
    images = noise()
    torch.manual_seed(5)
    wanted = augment.augment(images, None, flip=True, crop=2, cutout=4)
    assert torch.equal(augmented(images, 5, flip=True, crop=2, cutout=4), wanted)
    assert augmented(images) is images


def test_half_of_the_images_are_turned_upside_down():
    """Those that are, wholly."""
    images = noise(400)
    result = augmented(images, vertical_flip=True)
    turned = (result == images.flip(2)).flatten(1).all(1)
    assert torch.equal(result[~turned], images[~turned])
    assert float(turned.float().mean()) == pytest.approx(0.5, abs=0.1)


def test_erasing_blackens_a_rectangle_in_a_part_of_the_images():
    """2 to 33 % of the area, before it is rounded and cut off at the border."""
    images = noise(400)
    result = augmented(images, erase=0.25)
    gone = (result == 0).all(1)
    assert torch.equal(torch.where(gone.unsqueeze(1), images, result), images)
    areas = gone.flatten(1).float().mean(1)
    assert float((areas > 0).float().mean()) == pytest.approx(0.25, abs=0.08)
    assert 0.3 < float(areas.max()) < 0.4
    for hole in gone[areas > 0]:
        assert torch.equal(hole, hole.any(1, keepdim=True) & hole.any(0, keepdim=True))


def test_images_turn_by_no_more_than_asked():
    """By little, the middle stays where it is."""
    images = torch.zeros(50, 1, 21, 21, dtype=torch.uint8)
    images[:, :, 9:12, :] = 255  # a bar across
    result = augmented(images, rotate=10.0)
    assert bool((result[:, 0, 10, 10] == 255).all())
    assert bool((result[:, 0, :7, 10] == 0).all())
    assert not torch.equal(result, images)


OWN = """
    import random
    import torch
    from torchvision.transforms import v2

    composed = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)])

    def per_image(image):
        return image.flip(-1) if random.random() < 0.5 else image

    def per_batch(images):
        return 255 - images

    def wrong(image):
        return image.float() / 255

    def smaller(images):
        return images[..., 1:]
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A file with transforms of one's own."""
    file = tmp_path / "mine.py"
    file.write_text("\n".join(line[4:] for line in OWN.splitlines()), encoding="utf-8")
    return str(file)


def test_a_transform_of_ones_own_is_given_an_image_or_a_batch(mine):
    """torchvision's objects as they are: each image with draws of its own."""
    images = noise(1).expand(16, *SHAPE).contiguous()
    result = augmented(images, transform=f"{mine}:composed")
    assert len({one.numpy().tobytes() for one in result}) > 10
    assert torch.equal(augmented(images, transform=f"{mine}:per_batch"), 255 - images)


@pytest.mark.parametrize(
    ("name", "got"), [("wrong", "float32 [3, 16, 12]"), ("smaller", "uint8 [32, 3, 16, 11]")]
)
def test_what_a_transform_returns_is_looked_at(mine, name, got):
    """Shape and type stay; said with what came instead."""
    with pytest.raises(ValueError, match="it must return uint8") as error:
        augmented(noise(), transform=f"{mine}:{name}")
    assert f"mine.py:{name}" in str(error.value)
    assert f"got {got}" in str(error.value)


@pytest.mark.parametrize(("name", "told"), [("nobody", "defines no function 'nobody'"), ("", "no")])
def test_a_transform_that_is_not_there_is_told_before_a_run(mine, name, told):
    """With the file."""
    settings = {"dataset": "digits", "network": "digits_cnn", "transform": f"{mine}:{name}"}
    ((path, message),) = check(settings, {})
    assert path == "settings.transform"
    assert told in message
    other = {**settings, "transform": "./nothing.py:f"}
    ((path, message),) = check(other, {})
    assert "no file" in message
    assert "./file.py:train_transform" in message
