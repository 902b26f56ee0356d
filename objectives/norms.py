"""Layers that average over a batch: which there are, how they train, and when they cannot."""

from __future__ import annotations

import copy

import torch
from torch import nn

from objectives.networks import Shape


def norms(network: nn.Module) -> list[nn.Module]:
    """Its batch norms."""
    kind = nn.modules.batchnorm._BatchNorm
    return [module for module in network.modules() if isinstance(module, kind)]


def train_mode(network: nn.Module) -> None:
    """Training mode, but frozen batch norm keeps its statistics, as in Keras."""
    network.train()
    for norm in norms(network):
        if not any(parameter.requires_grad for parameter in norm.parameters()):
            norm.eval()


def fails_on_one(network: nn.Module, shape: Shape) -> str:
    """Why it cannot train on a batch of one image, naming the layer; "" where it can.

    Batch norm, as others, has nothing to average where that leaves one value a channel.
    """
    network, entered = copy.deepcopy(network), [""]  # its statistics stay as they are
    for name, layer in network.named_modules():
        layer.register_forward_pre_hook(
            lambda layer, _, name=name: entered.append(f"{name} ({type(layer).__name__})")
        )
    train_mode(network)
    try:
        with torch.no_grad():
            network(torch.zeros(1, *shape))
    except (ValueError, RuntimeError) as error:
        return f"{entered[-1].strip()}: {str(error).splitlines()[0]}"
    return ""
