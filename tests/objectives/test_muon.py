"""Muon: torch's own where torch has it, convolutions besides."""

import pytest
import torch

from objectives import muon, optimizers, stepping
from objectives.knobs import configure

STEPS = 20
CONFIG = configure({"dataset": "digits", "network": "digits_cnn", "optimizer": "muon"}, {})


def begin(*shape):
    generator = torch.Generator().manual_seed(0)
    return 1 + torch.rand(*shape, generator=generator)


def gradient(weights, step):
    """Of a quadratic, with noise of its own at each step."""
    noise = torch.randn(weights.shape, generator=torch.Generator().manual_seed(step))
    return weights - 0.5 + 0.3 * noise


def ours(*weights):
    trained = [torch.nn.Parameter(one.clone()) for one in weights]
    step = stepping.stepper(optimizers.build(trained, CONFIG, CONFIG.lr))
    for count in range(STEPS):
        for one in trained:
            one.grad = gradient(one.detach(), count)
        step()
    return [one.detach() for one in trained]


def test_twenty_steps_agree_with_torch():
    """A convolution is the matrix of its filters, a vector is AdamW's. torch iterates in bfloat16:
    a hundredth of the way gone."""
    filters, bias = begin(6, 3, 2, 2), begin(6)
    matrix, vector = (torch.nn.Parameter(one.clone()) for one in (filters.view(6, 12), bias))
    theirs = [
        torch.optim.Muon(
            [matrix], lr=1e-3, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW([vector], lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1),
    ]
    for count in range(STEPS):
        matrix.grad = gradient(matrix.detach().view(filters.shape), count).view(6, 12)
        vector.grad = gradient(vector.detach(), count)
        for one in theirs:
            stepping.stepper(one)()
    got = ours(filters, bias)
    way = float((matrix.detach().view(filters.shape) - filters).abs().mean())
    torch.testing.assert_close(got[0], matrix.detach().view(filters.shape), rtol=0, atol=0.01 * way)
    torch.testing.assert_close(got[1], vector.detach())


def test_filters_may_lie_in_channels_last():
    """As networks hold them."""
    filters = begin(6, 3, 2, 2)
    (plain,), (last,) = ours(filters), ours(filters.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
def test_the_step_is_nearly_orthogonal(shape):
    """Its singular values lie between 0.6 and 1.3, whatever those of the matrix were."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    values = torch.linalg.svdvals(muon.orthogonal(matrix))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
