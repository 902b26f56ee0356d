"""A program in place of NVIDIA's nvidia-cuda-mps-control, which keeps a log of what it was told."""

import os
from pathlib import Path

import pytest

from search.workers import mps

# As NVIDIA's: with -d a process that stays, and holds what it was given; without, a command on
# standard input is passed on to it, where its pipes are found.
PROGRAM = """#!/bin/sh
here="${CUDA_MPS_PIPE_DIRECTORY:-@usual}"
if [ "$1" = -d ]; then
    [ -z "$FAILS" ] || { echo "An instance of this daemon is already running" >&2; exit 1; }
    touch "$here/control"
    echo "start mask=$CUDA_VISIBLE_DEVICES" >> @log
    (while [ -e "$here/control" ]; do sleep 0.1; done) &
    exit 0
fi
read command
[ -e "$here/control" ] || exit 1
echo "$command" >> @log
[ "$command" = quit ] && rm "$here/control"
exit 0
"""


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it on the PATH, with no daemon of anybody's about; its log."""
    told, usual = tmp_path / "log", tmp_path / "usual"
    told.touch()
    usual.mkdir()
    program = tmp_path / "bin" / mps.PROGRAM
    program.parent.mkdir()
    program.write_text(PROGRAM.replace("@log", str(told)).replace("@usual", str(usual)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.delenv(mps.PIPES, raising=False)
    monkeypatch.setattr(mps, "USUAL", usual)
    return told
