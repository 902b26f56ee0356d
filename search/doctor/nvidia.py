"""What the NVIDIA driver tells, read from the text of `nvidia-smi`."""

import re
from pathlib import Path
from typing import NamedTuple

FIELDS = (
    "index",
    "name",
    "driver_version",
    "memory.total",
    "memory.free",
    "compute_mode",
    "mig.mode.current",
)
QUERY = ("nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits")
LIST = ("nvidia-smi", "-L")
# CUDA of a major version runs from this driver on: "Minor Version Compatibility", table 1, in
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
_VENDOR, _DISPLAY = "0x10de", "0x03"  # of PCI: NVIDIA; VGA and 3D controllers


class Card(NamedTuple):
    """A GPU as the driver has it. Sizes are None where it does not tell them, as under MIG."""

    number: int
    name: str
    driver: str
    total_bytes: int | None
    free_bytes: int | None
    compute_mode: str
    has_mig: bool


def cards(text: str) -> list[Card]:
    """The rows of QUERY's answer; a line that is none (a notice of the driver's) is passed over."""
    found = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == len(FIELDS) and words[0].isdecimal():
            index, name, driver, total, free, mode, mig = words
            sizes = _mebibytes(total), _mebibytes(free)
            found.append(Card(int(index), name, driver, *sizes, mode, mig == "Enabled"))
    return found


def _mebibytes(word: str) -> int | None:
    return int(word) * 2**20 if word.isdecimal() else None


def instances(text: str) -> dict[int, list[str]]:
    """The names of the MIG instances of each GPU, from LIST's answer."""
    found: dict[int, list[str]] = {}
    gpu = -1
    for line in text.splitlines():
        if head := re.match(r"GPU (\d+):", line):
            gpu = int(head[1])
            found[gpu] = []
        elif (one := re.search(r"\(UUID: (MIG-[^)]+)\)", line)) and gpu in found:
            found[gpu].append(one[1])
    return found


def oldest_driver(cuda: str) -> int | None:
    """The oldest driver that CUDA `13.0` runs with; None of a version that is not in the table."""
    major = cuda.partition(".")[0]
    return OLDEST_DRIVER.get(int(major)) if major.isdecimal() else None


def is_plugged_in(root: Path = Path("/")) -> bool:
    """Whether an NVIDIA GPU is on this machine's PCI bus, with a driver or without."""
    for device in (root / "sys/bus/pci/devices").glob("*"):
        try:
            kind = [(device / name).read_text().strip() for name in ("vendor", "class")]
        except OSError:
            continue
        if kind[0] == _VENDOR and kind[1].startswith(_DISPLAY):
            return True
    return False
