"""Augmentation policies: each operation against torchvision's, each image by a draw of its own."""

import math

import pytest
import torch
from torchvision.transforms.v2 import AugMix, RandAugment, TrivialAugmentWide
from torchvision.transforms.v2 import functional as tv

from objectives.policies import BINS, MIX_BINS, OPERATIONS, SIGNED, Policy

CPU = torch.device("cpu")
SHAPE = (3, 24, 20)
DEGREES = tuple(math.degrees(math.atan(one)) for one in (0.3, -0.7))


def noise(batch=6, shape=SHAPE, seed=0):
    """Smooth in parts, so that equalize and auto_contrast have something to do."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(20, 200, (batch, *shape), generator=generator)
    return (values // 7 * 5).to(torch.uint8)


def theirs(name, image, amount):
    """torchvision's operation of AutoAugment on one image."""
    nearest = {"interpolation": tv.InterpolationMode.NEAREST}
    corner = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "center": [0, 0], **nearest}
    whole = {"angle": 0.0, "scale": 1.0, "shear": [0.0, 0.0], **nearest}
    degrees = math.degrees(math.atan(amount))
    return {
        "identity": lambda: image,
        "shear_x": lambda: tv.affine(image, shear=[degrees, 0.0], **corner),
        "shear_y": lambda: tv.affine(image, shear=[0.0, degrees], **corner),
        "translate_x": lambda: tv.affine(image, translate=[int(amount), 0], **whole),
        "translate_y": lambda: tv.affine(image, translate=[0, int(amount)], **whole),
        "rotate": lambda: tv.rotate(image, amount, **nearest),
        "brightness": lambda: tv.adjust_brightness(image, 1 + amount),
        "color": lambda: tv.adjust_saturation(image, 1 + amount),
        "contrast": lambda: tv.adjust_contrast(image, 1 + amount),
        "sharpness": lambda: tv.adjust_sharpness(image, 1 + amount),
        "posterize": lambda: tv.posterize(image, int(amount)),
        "solarize": lambda: tv.solarize(image, amount),
        "auto_contrast": lambda: tv.autocontrast(image),
        "equalize": lambda: tv.equalize(image),
    }[name]()


AMOUNTS = {"posterize": (2, 5, 8), "solarize": (0, 100.5, 255), "rotate": (17.0, -90.0)}
MOVES = {"translate_x": (3.9, -5.2), "translate_y": (4.0, -19.0)}


@pytest.mark.parametrize("shape", [SHAPE, (1, 9, 9)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions(name, shape):
    """To one step of 255; of nearest pixels one in two hundred may be the other of a tie."""
    for amount in (AMOUNTS | MOVES).get(name, (0.3, -0.7)):
        images = noise(shape=shape)
        policy = Policy("trivial", shape, CPU)
        which = torch.full((len(images),), OPERATIONS.index(name))
        got = policy.changed(images, which, torch.full((len(images),), float(amount)))
        wanted = torch.stack([theirs(name, image, amount) for image in images])
        assert got.dtype == torch.uint8
        far = (got.int() - wanted.int()).abs() > 1
        assert float(far.float().mean()) <= 0.005, (name, amount)


def test_ranges_are_torchvisions():
    """How much of an operation each bin is; both name the same operations."""
    names = {
        "Identity": "identity", "ShearX": "shear_x", "ShearY": "shear_y",
        "TranslateX": "translate_x", "TranslateY": "translate_y", "Rotate": "rotate",
        "Brightness": "brightness", "Color": "color", "Contrast": "contrast",
        "Sharpness": "sharpness", "Posterize": "posterize", "Solarize": "solarize",
        "AutoContrast": "auto_contrast", "Equalize": "equalize",
    }  # fmt: skip
    for name, kind, bins in (
        ("trivial", TrivialAugmentWide, BINS),
        ("rand", RandAugment, BINS),
        ("augmix", AugMix, MIX_BINS),
    ):
        shape = (3, 40, 36)
        table = Policy(name, shape, CPU).table
        space = kind._AUGMENTATION_SPACE
        assert {names[one] for one in space} | {"identity"} == set(OPERATIONS)
        for one, (values, is_signed) in space.items():
            place = OPERATIONS.index(names[one])
            assert is_signed == (0 < place <= SIGNED)
            amounts = values(bins, *shape[1:])
            if amounts is not None:
                wanted = amounts * 255 if one == "Solarize" else amounts
                torch.testing.assert_close(table[place], wanted.float())


@pytest.mark.parametrize("name", ["trivial", "rand", "augmix"])
@pytest.mark.parametrize("shape", [SHAPE, (1, 8, 8), (4, 10, 10)])
def test_a_batch_is_changed_as_on_a_gpu(name, shape):
    """Image by image or all with a mask: the same bytes. Gray images and others go, too."""
    images, results = noise(40, shape), []
    for on_cpu in (True, False):
        policy = Policy(name, shape, CPU)
        policy.on_cpu = on_cpu
        torch.manual_seed(3)
        results.append(policy(images, None))
    assert torch.equal(*results)
    assert results[0].shape == images.shape
    assert not torch.equal(results[0], images)


@pytest.mark.parametrize("name", ["trivial", "rand", "augmix"])
def test_each_image_has_a_draw_of_its_own_and_the_seed_gives_it_again(name):
    """One image, many times over, comes out in many variants; nobody writes into the batch."""
    images = noise(1).expand(64, *SHAPE)
    before = images.clone()
    variants = []
    for _ in range(2):
        torch.manual_seed(0)
        variants.append(Policy(name, SHAPE, CPU)(images, None))
    assert torch.equal(*variants)
    assert torch.equal(images, before)
    assert len({one.numpy().tobytes() for one in variants[0]}) > (25 if name == "trivial" else 40)


def test_rand_is_as_strong_as_asked():
    """At magnitude 0 an image hardly changes; with more operations more does."""
    changes = []
    for given in ({"magnitude": 0, "num_ops": 1}, {"magnitude": 9}, {"magnitude": 9, "num_ops": 5}):
        torch.manual_seed(0)
        images = noise(200)
        result = Policy("rand", SHAPE, CPU, **given)(images, None)
        changes.append(float((result.int() - images.int()).abs().float().mean()))
    assert changes[0] < changes[1] < changes[2]
