"""Rules of the device: what is picked, in which precision, and what counts as out of memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from objectives import cgroups, device

CPU = torch.device("cpu")


def test_auto_picks_a_device_that_works() -> None:
    """`auto` is a device on which a tensor can be made at once."""
    assert torch.ones(2, device=device.pick("auto")).sum().item() == 2


def test_auto_prefers_cuda_then_mps_then_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest kind that is there wins."""
    there = {"cuda", "mps", "cpu"}
    monkeypatch.setattr(device, "_count", lambda kind: int(kind in there))
    for kind in ("cuda", "mps", "cpu"):
        assert device.pick("auto").type == kind
        there.discard(kind)


@pytest.mark.parametrize("name", ["tpu", "cpu:0", "cuda:x", "cuda:-1", "mps:0", "", "CUDA"])
def test_an_unknown_device_lists_the_known(name: str) -> None:
    """The error names the value and every valid name."""
    with pytest.raises(ValueError, match=r"unknown device .*auto, cpu, cuda, cuda:0, mps"):
        device.pick(name)


def test_absent_devices_are_refused_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuda without CUDA says so, with torch's version, and proposes the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(
            ValueError, match=rf"device {name}: no .* \(torch \d.*\); use cpu, .*doctor"
        ):
            device.pick(name)


def test_a_cuda_index_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuda:2 of two devices names the valid range."""
    monkeypatch.setattr(device, "_count", lambda kind: 2)
    assert device.pick("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"cuda:0 to cuda:1"):
        device.pick("cuda:2")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512f", "avx512_bf16"}, "bfloat16"),
        ({"amx_bf16"}, "bfloat16"),
        ({"asimd", "bf16"}, "bfloat16"),
        ({"avx2", "avx512f", "avx512bw"}, "float32"),  # there bfloat16 is emulated
        (set(), "float32"),
    ],
)
def test_auto_precision_is_bfloat16_only_where_native(
    flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU that would emulate bfloat16 gets float32."""
    monkeypatch.setattr(device, "_cpu_flags", lambda: frozenset(flags))
    assert device.precision("auto", CPU) == expected


def test_auto_precision_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA from capability 8.0 on multiplies bfloat16, from 7.0 float16; Apple's GPU is left at
    float32."""
    capability = (8, 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert device.precision("auto", torch.device("cuda")) == "bfloat16"
    capability = (7, 5)
    assert device.precision("auto", torch.device("cuda")) == "float16"
    capability = (6, 1)
    assert device.precision("auto", torch.device("cuda")) == "float32"
    assert device.precision("auto", torch.device("mps")) == "float32"


def test_a_chosen_precision_is_kept_and_an_unknown_refused() -> None:
    """Only `auto` looks at the hardware."""
    assert device.precision("float32", CPU) == "float32"
    assert device.precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(ValueError, match="unknown precision 'half'; one of: auto, float32, bfloat"):
        device.precision("half", CPU)


def test_configure_sets_threads() -> None:
    """`threads` is obeyed, None leaves the number alone."""
    before = torch.get_num_threads()
    try:
        device.configure(CPU, threads=1)
        device.configure(CPU)
        assert device.describe(CPU)["threads"] == 1
    finally:
        torch.set_num_threads(before)


def test_a_gpu_that_is_asked_for_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph is captured on the current device: of cuda:1's steps it would hold nothing."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    for name in ("cuda:1", "cuda", "cpu"):
        device.configure(torch.device(name))
    assert current == [torch.device("cuda:1")]


@pytest.mark.parametrize(
    ("hip", "masks", "mask", "visible"),
    [
        (None, {"CUDA_VISIBLE_DEVICES": "2,5"}, "CUDA_VISIBLE_DEVICES", ["2", "5"]),
        ("6.4", {"CUDA_VISIBLE_DEVICES": "2,5"}, "CUDA_VISIBLE_DEVICES", ["2", "5"]),
        ("6.4", {"HIP_VISIBLE_DEVICES": "3,7"}, "HIP_VISIBLE_DEVICES", ["3", "7"]),
        (None, {"HIP_VISIBLE_DEVICES": "3,7"}, "CUDA_VISIBLE_DEVICES", ["0", "1"]),
    ],
)
def test_gpus_have_their_names_in_the_mask_that_rules(
    monkeypatch: pytest.MonkeyPatch,
    hip: str | None,
    masks: dict[str, str],
    mask: str,
    visible: list[str],
) -> None:
    """ROCm reads HIP_VISIBLE_DEVICES first, NVIDIA never."""
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in masks.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8, 9))
    told = device.gpus(torch.device("cuda"))
    assert told == {"mask": mask, "visible": visible, "memory_bytes": 8}


@pytest.mark.parametrize("name", ["cuda", "cpu"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_kernels_repeat_unless_they_need_not(
    monkeypatch: pytest.MonkeyPatch, name: str, deterministic: bool
) -> None:
    """cuDNN's are not chosen by timing, since a replay would choose others; cuBLAS gets the
    buffers that it needs for it, and torch is asked for all else, without its compiler."""
    asked: list[str] = []
    monkeypatch.setattr(torch, "set_deterministic_debug_mode", asked.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", not deterministic)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    device.configure(torch.device(name), deterministic=deterministic)
    assert torch.backends.cudnn.benchmark != deterministic
    assert torch.backends.cudnn.deterministic == deterministic
    on_gpu = name == "cuda"
    assert asked == (["warn" if deterministic else "default"] if on_gpu else [])
    assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) == (on_gpu and deterministic)


@pytest.mark.parametrize("is_new", [True, False])
def test_float32_is_no_tf32_on_a_gpu(monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """cuDNN's default rounds to ten bits; torch has two ways to say so."""

    class Flags:
        allow_tf32, fp32_precision = True, "none"

    cudnn, matmul = Flags(), Flags()
    if is_new:
        cudnn.conv = Flags()  # type: ignore[attr-defined]
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    device._keep_float32()
    if is_new:
        assert (cudnn.conv.fp32_precision, matmul.fp32_precision) == ("ieee", "ieee")  # type: ignore[attr-defined]
    else:
        assert (cudnn.allow_tf32, matmul.allow_tf32) == (False, False)


def test_a_driver_that_torch_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`auto` takes the CPU, and says that it is not for want of a GPU; a person who chose the CPU,
    or hides the GPUs, knows."""
    driver = tmp_path / "version"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device.unused("auto", CPU, driver) == ""
    driver.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    )
    note = device.unused("auto", CPU, driver)
    assert note.startswith("there is an NVIDIA driver 535.104.05, but torch ")
    assert note.endswith("the CPU trains; `optsearch doctor` says why")
    assert device.unused("cpu", CPU, driver) == ""
    assert device.unused("auto", torch.device("cuda"), driver) == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.unused("auto", CPU, driver) == ""


def test_describe_is_plain_words() -> None:
    """What trains, in values that JSON can carry."""
    words = device.describe(CPU)
    assert words["type"] == "cpu"
    assert words["name"]
    assert words["torch"] == torch.__version__


def test_available_bytes_is_between_nothing_and_a_petabyte() -> None:
    """Free host memory is a plausible number."""
    assert 0 < device.available_bytes(CPU) < 10**15


def test_a_container_limit_bounds_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is less, of what the container and of what the machine has left."""
    monkeypatch.setattr(device, "_lines", lambda _: ["MemTotal: 9 kB", "MemAvailable: 8 kB"])
    for left, told in ((600, 600), (9000, 8 * 1024), (None, 8 * 1024)):
        monkeypatch.setattr(cgroups, "memory_bytes", lambda left=left: left)
        assert device.host_bytes() == told


def test_a_real_allocation_failure_is_out_of_memory() -> None:
    """torch's CPU allocator raises a bare RuntimeError; it is recognised by its words."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert device.is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_only_memory_errors_are_out_of_memory(error: Exception, expected: bool) -> None:
    """A bug in the user's network must not pass for a full device."""
    assert device.is_out_of_memory(error) is expected
