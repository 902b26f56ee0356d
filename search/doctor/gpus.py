"""torch, its CUDA against the driver, and each GPU. Pure functions judge what was asked."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from search.doctor import asking, nvidia, sharing
from search.doctor.finding import Finding, size
from search.doctor.nvidia import Card
from search.workers.seats import MASK

SMI_LIMIT_S = 20  # without its persistence mode a driver wakes each GPU first
FULL = 0.5  # of a GPU's memory taken by others is worth a word
_HIP_MASKS = ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_NEWER = "https://www.nvidia.com/drivers"


class Driver(NamedTuple):
    """What the driver says: its GPUs, or why it does not answer; `is_there` without either is one
    that sees no GPU."""

    is_there: bool
    fault: str = ""
    cards: Sequence[Card] = ()
    instances: Mapping[int, Sequence[str]] = {}
    is_plugged_in: bool = False

    @classmethod
    def ask(cls) -> "Driver":
        """As the machine has it."""
        answer = asking.program(nvidia.QUERY, SMI_LIMIT_S)
        if answer is None:
            return cls(False, is_plugged_in=nvidia.is_plugged_in())
        if answer.fault and "No devices were found" not in answer.out + answer.fault:
            return cls(True, answer.fault, is_plugged_in=nvidia.is_plugged_in())
        cards = nvidia.cards(answer.out)
        listed = asking.program(nvidia.LIST, SMI_LIMIT_S) if any(c.has_mig for c in cards) else None
        return cls(True, "", cards, nvidia.instances(listed.out) if listed else {})


def check() -> list[Finding]:
    """Of this machine."""
    known, fault = asking.survey("framework")
    driver = Driver.ask()
    environment = os.environ
    found = [torch(known, fault)]
    if known.get("torchvision"):
        found.append(
            Finding(
                "torchvision",
                "error",
                f"cannot be imported: {known['torchvision']}",
                "install the pair that belongs together: pip install -U torch torchvision",
            )
        )
    found.append(seen(known, driver, environment))
    found += [one for card in driver.cards for one in of_card(card, driver.instances)]
    found += [
        one
        for i, device in enumerate(known.get("devices", ()))
        for one in of_device(i, device, known)
    ]
    if driver.cards:
        found.append(sharing.check(environment))
    return found


def torch(known: Mapping[str, Any], fault: str) -> Finding:
    """Whether it can be imported, and what it is built for."""
    if fault:
        remedy = "pip install --force-reinstall torch torchvision"
        if fault == "killed by SIGILL":
            remedy = "this CPU lacks an instruction that torch uses: install a build for it"
        return Finding("torch", "error", f"cannot be imported: {fault}", remedy)
    return Finding("torch", "fine", f"{known['version']}, built for {built_for(known)}")


def built_for(known: Mapping[str, Any]) -> str:
    """CUDA 13.0, ROCm 6.4, or the CPU."""
    if known["cuda"]:
        return f"CUDA {known['cuda']}"
    return f"ROCm {known['hip']}" if known["hip"] else "the CPU alone"


def seen(known: Mapping[str, Any], driver: Driver, environment: Mapping[str, str]) -> Finding:
    """What `--device auto` takes, and, where that is the CPU beside a GPU, why."""
    versions = {card.driver for card in driver.cards}
    told = f", driver {', '.join(sorted(versions))}" if versions else ""
    if known.get("devices"):
        ignored = [name for name in _HIP_MASKS if known["hip"] and environment.get(name)]
        if ignored and len(known["devices"]) > 1:
            return Finding(
                "device",
                "warning",
                f"{ignored[0]} is set: ROCm then passes over the {MASK} that gives each worker "
                "a GPU of its own",
                f"name the GPUs in {MASK} instead, and unset {ignored[0]}",
            )
        return Finding("device", "fine", f"cuda, {_gpus(len(known['devices']))}{told}")
    if driver.fault:
        return Finding(
            "device",
            "error",
            f"the NVIDIA driver fails: {driver.fault}; {_CPU}",
            "restart the machine, or the container with its GPUs; `nvidia-smi` has to answer",
        )
    if driver.cards:
        return _unused(known, driver.cards, environment)
    if known.get("mps"):
        return Finding("device", "fine", "Apple MPS")
    if driver.is_plugged_in:
        return Finding(
            "device",
            "warning",
            f"an NVIDIA GPU, but no driver: {_CPU}",
            f"install one from {_NEWER}; in a container: docker run --gpus all",
        )
    return Finding("device", "fine", "the CPU: there is no GPU that torch or a driver sees")


_CPU = "training would use the CPU"


def _gpus(number: int) -> str:
    return f"{number} GPU{'s' * (number != 1)}"


def _unused(
    known: Mapping[str, Any], cards: Sequence[Card], environment: Mapping[str, str]
) -> Finding:
    """Why torch sees none of the GPUs that the driver has, most certain cause first."""
    version = cards[0].driver
    major = version.partition(".")[0]
    needed = nvidia.oldest_driver(known["cuda"]) if known.get("cuda") else None
    if not known:
        return Finding(
            "device",
            "warning",
            f"{_gpus(len(cards))}, driver {version}; torch, which would train on them, is broken",
            "mend torch first",
        )
    if not known["cuda"]:
        return Finding(
            "device",
            "warning",
            f"torch {known['version']} is built for {built_for(known)}: {_CPU}, beside "
            f"{_gpus(len(cards))}",
            "install a build for CUDA: https://pytorch.org/get-started/locally",
        )
    if environment.get(MASK, "0").strip() in ("", "-1"):
        return Finding(
            "device",
            "warning",
            f"{MASK}={environment[MASK]} hides {_gpus(len(cards))}: {_CPU}",
            f"unset {MASK}, or name some: {MASK}=0",
        )
    if needed and major.isdecimal() and int(major) < needed:
        cuda = known["cuda"].partition(".")[0]
        return Finding(
            "device",
            "error",
            f"driver {version} is too old for CUDA {cuda}: {_CPU}",
            f"install driver {needed} or newer ({_NEWER}), or a torch for "
            f"CUDA {_newest(int(major))} (https://pytorch.org/get-started/previous-versions)",
        )
    said = f": {known['said'][0]}" if known["said"] else ""
    return Finding(
        "device",
        "error",
        f"torch sees none of {_gpus(len(cards))}{said}; {_CPU}",
        f"see that {MASK} names GPUs that are there, and that nvidia-smi lists "
        "the MIG instances of one in that mode",
    )


def _newest(driver: int) -> str:
    """The newest CUDA that a driver runs."""
    able = [cuda for cuda, oldest in nvidia.OLDEST_DRIVER.items() if oldest <= driver]
    return str(max(able)) if able else "10"


def of_card(card: Card, instances: Mapping[int, Sequence[str]]) -> list[Finding]:
    """MIG, and who may use the GPU, as the driver has it."""
    subject, found = f"gpu {card.number}", []
    if card.has_mig:
        names = instances.get(card.number, ())
        if not names:
            found.append(
                Finding(
                    subject,
                    "error",
                    f"{card.name} is in MIG mode and holds no instance: CUDA cannot use it",
                    "its administrator makes some, or ends the mode: `nvidia-smi mig "
                    f"-lgip`, `nvidia-smi -i {card.number} -mig 0`",
                )
            )
        elif len(names) > 1:
            found.append(
                Finding(
                    subject,
                    "warning",
                    f"{card.name} is divided into {len(names)} "
                    "MIG instances; CUDA shows a process one of them",
                    f"start a worker for each of the others, under {MASK}={names[1]} and so on",
                )
            )
        else:
            found.append(Finding(subject, "fine", f"{card.name}, one MIG instance"))
    if card.compute_mode == "Prohibited":
        found.append(
            Finding(
                subject,
                "error",
                f"{card.name} lets no process compute",
                f"its administrator allows it: nvidia-smi -i {card.number} -c 0",
            )
        )
    elif card.compute_mode == "Exclusive_Process":
        found.append(
            Finding(
                subject,
                "warning",
                f"{card.name} takes one process at a time",
                "use --workers-per-gpu 1, or CUDA MPS: nvidia-cuda-mps-control -d",
            )
        )
    return found


def of_device(index: int, device: Mapping[str, Any], known: Mapping[str, Any]) -> list[Finding]:
    """Whether torch has kernels for a GPU that it sees, and how much memory is free."""
    subject, name = f"cuda:{index}", device["name"]
    if "fault" in device:
        return [
            Finding(
                subject,
                "error",
                f"{name} refuses: {device['fault']}",
                "`nvidia-smi` shows who holds it",
            )
        ]
    if not known["hip"] and not has_kernels(device["capability"], known["architectures"]):
        capability = ".".join(map(str, device["capability"]))
        return [
            Finding(
                subject,
                "error",
                f"{name} has compute capability {capability}; torch "
                f"{known['version']} has kernels for {' '.join(known['architectures'])}",
                "install a build for it: https://pytorch.org/get-started/previous-versions",
            )
        ]
    free, total = device["free_bytes"], device["total_bytes"]
    told = f"{name}, {size(free)} of {size(total)} free"
    if free < FULL * total:
        return [
            Finding(
                subject,
                "warning",
                told,
                "`nvidia-smi` shows who holds the rest; end it, or use --workers-per-gpu 1",
            )
        ]
    return [Finding(subject, "fine", told)]


def has_kernels(capability: Sequence[int], architectures: Sequence[str]) -> bool:
    """Whether a build runs on a GPU: binaries (sm_86) run on their major version from their minor
    one on, PTX (compute_90) on everything newer; sm_90a on 9.0 alone.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide: "Binary Compatibility" and on.
    """
    major, minor = capability
    for one in architectures:
        kind, _, number = one.partition("_")
        digits = number.rstrip("af")
        if not digits.isdecimal():
            continue
        of = int(digits[:-1]), int(digits[-1])
        if kind == "compute" and of <= (major, minor):
            return True
        if kind == "sm" and of[0] == major and of[1] <= minor:
            return True
    return not architectures
