"""`optsearch init` at a real terminal: it asks for what no option has said."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.search.conftest import MAIN

CODE, HOURS, LIMIT_S = "nothing for code of your own:", "Hours that the search may take", 240


def talk(*answers: tuple[str, str]) -> tuple[int, str]:
    """Start `init` in a terminal of its own, and type each answer once its question stands there;
    the exit code, and all that was on the screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", MAIN, "init"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown, begun, waiting = "", 0, list(answers)
        end = time.monotonic() + LIMIT_S
        while (more := _read(ours, end)) is not None:
            shown += more
            if waiting and waiting[0][0] in shown[begun:]:
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
                begun = len(shown)
        os.close(ours)
        return process.wait(timeout=LIMIT_S), shown


def _read(terminal: int, end: float) -> str | None:
    """What comes next; None where the other side is gone."""
    assert select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]
    try:
        return os.read(terminal, 4096).decode() or None
    except OSError:  # as Linux tells the end of a terminal
        return None


def lines(shown: str) -> Sequence[str]:
    return [line.strip() for line in shown.splitlines()]


def test_code_of_ones_own_is_asked_for_at_a_terminal(folder: Path) -> None:
    """With what is usual as the answer to an empty line; both files are then there."""
    (folder / "mine.py").unlink(missing_ok=True)
    (folder / "mine.yaml").unlink(missing_ok=True)
    code, shown = talk((CODE, ""), ("[./mine.py:objective]:", ""))
    assert code == 0, shown
    assert lines(shown)[-1] == "next: optsearch run --study ./mine.yaml"
    assert "def objective" in Path("mine.py").read_text()
    assert Path("mine.yaml").exists()


@pytest.mark.soak
def test_data_and_hours_are_asked_for_at_a_terminal(folder: Path) -> None:
    """No time at all is none of the answers: it is asked for again."""
    draw = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(20):
            pixels = draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / kind / f"{i}.png")
    code, shown = talk((CODE, "photos"), (HOURS, "0"), (HOURS, "0.05"))
    assert code == 0, shown
    assert "a number >= 0.01 must be given, got 0" in shown
    assert lines(shown)[-1] == "next: optsearch run --study ./photos.yaml"
    assert "hours: 0.05" in Path("photos.yaml").read_text()
