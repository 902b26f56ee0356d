"""Layers that average over a batch: which there are, how they train, and when they cannot."""

from __future__ import annotations

import copy

import torch
from torch import nn

from objectives.networks import Shape

BatchNorm = nn.modules.batchnorm._BatchNorm


def norms(network: nn.Module) -> list[BatchNorm]:
    """Its batch norms."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def learning(network: nn.Module) -> list[BatchNorm]:
    """Those that follow the batches in training: not the frozen ones, nor what keeps nothing."""
    return [norm for norm in norms(network) if not _frozen(norm) and norm.track_running_stats]


def train_mode(network: nn.Module) -> None:
    """Training mode, but frozen batch norm keeps its statistics, as in Keras."""
    network.train()
    for norm in norms(network):
        if _frozen(norm):
            norm.eval()


def _frozen(norm: BatchNorm) -> bool:
    return not any(parameter.requires_grad for parameter in norm.parameters())


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
