"""The machine, or the container: Python, CPU cores, memory, and where data is kept."""

import os
import sys
from pathlib import Path

from search import provenance
from search.doctor import asking, places
from search.doctor.finding import Finding, size
from search.workers import cores as quotas

LITTLE_MEMORY = 2 * 2**30  # a worker with torch takes most of a gigabyte


def python() -> list[Finding]:
    """Which one runs, and with which versions of ours and Optuna."""
    known = provenance.versions()
    beside = [f"{name} {known[name]}" for name in ("optsearch", "optuna") if name in known]
    return [Finding("python", "fine", ", ".join([f"{known['python']}, {sys.executable}", *beside]))]


def cores() -> list[Finding]:
    """How many a run may keep busy: `--workers auto` is that many on a CPU."""
    mine, all_of_them = quotas.cores(), os.cpu_count() or 1
    of = f" of {all_of_them}: a quota or a mask keeps the others" if mine < all_of_them else ""
    return [Finding("cores", "fine", f"{mine}{of}")]


def check_memory_and_data() -> list[Finding]:
    """Both are what `objectives/` knows, without torch."""
    known, fault = asking.survey("host")
    if fault:
        remedy = "reinstall optsearch: pip install --force-reinstall optsearch"
        return [Finding("objectives", "error", f"cannot be imported: {fault}", remedy)]
    data = (
        Finding(
            "data",
            "error",
            known["data_error"].partition("; ")[0],
            known["data_error"].partition("; ")[2],
        )
        if "data_error" in known
        else places.data(Path(known["data_folder"]))
    )
    return [memory(known["memory_bytes"], available(_read("/proc/meminfo"))), data]


def memory(left_bytes: int | None, available_bytes: int | None) -> Finding:
    """What may still be taken: by the container's limit, and on the machine."""
    free = min((n for n in (left_bytes, available_bytes) if n is not None), default=None)
    if free is None:
        return Finding("memory", "fine", "no limit is known here")
    why = " within the container's limit" if free == left_bytes else ""
    found = f"{size(free)} free{why}"
    if free < LITTLE_MEMORY:
        return Finding("memory", "warning", found, "end what holds it, or use --workers 1")
    return Finding("memory", "fine", found)


def available(meminfo: str) -> int | None:
    """Bytes that Linux calls available, of the text of /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""
