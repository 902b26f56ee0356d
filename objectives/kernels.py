"""Which kernels of a GPU this torch brings: later versions bring more."""

from __future__ import annotations

import torch


def has_cuda(operator: str) -> bool:
    """Whether an operator of torch's, `name` or `name.overload`, has a kernel for CUDA (and, built
    for it, for ROCm, which goes by the same name)."""
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{operator}", "CUDA"))
    except RuntimeError:  # an earlier torch has no such operator
        return False
