"""log.py: `--log json` keeps standard output to itself."""

import io
import json
import subprocess
import sys
from pathlib import Path

import optuna
from rich.console import Console

from search.terminal import log


def test_lines_have_a_head_once() -> None:
    """As soon as training begins: the first trial may take long to pause or end. Its columns stand
    over those of the lines."""
    console = Console(file=io.StringIO(), width=100)
    listener = log.Plain(console)
    study = optuna.create_study(direction="maximize")
    for value in (0.25, 0.75):
        trial = study.ask()
        trial.suggest_float("lr", 0, 1)
        listener.began("mine", study.trials[trial.number])
        trial.report(value, 0)
        trial.set_user_attr("reason", "all_epochs")
        study.tell(trial, value)
        listener.ended("mine", study.trials[trial.number], is_best=False)
    written = console.file
    assert isinstance(written, io.StringIO)
    head, first, second = written.getvalue().splitlines()
    assert head.split() == ["#", "state", "score", "epochs", "why", "parameters"]
    for line in (first, second):
        assert line.index("complete") == head.index("state")
        assert line.index(" ep ") + 3 == head.index("epochs") + 6
        assert line.index("all_epochs") == head.index("why")
        assert line.index("lr=") == head.index("parameters")


def test_what_a_run_sets_out_to_do_is_told_where_no_panel_shows_it() -> None:
    written = {}
    for kind in (log.Plain, log.OnTerminal):
        console = Console(file=io.StringIO(), width=100)
        kind(console).set_out("mine", "mine: 8 trials; 2 workers on cpu")
        written[kind] = console.file.getvalue()  # type: ignore[attr-defined]
    assert written == {log.Plain: "mine: 8 trials; 2 workers on cpu\n", log.OnTerminal: ""}


ROOT = Path(__file__).resolve().parents[3]
CODE = """
import ctypes, os, subprocess, sys
from search.terminal import log
listener = log.parse("json")
print("noise of a library")
os.write(1, b"noise of a driver\\n")
ctypes.CDLL(None).puts(b"noise of C")
ctypes.CDLL(None).fflush(None)
subprocess.run(["echo", "noise of a process"], check=True)
listener.say("mine", "a message")
log.release()
print("after")
"""


def test_json_stays_json_whatever_prints() -> None:
    """Here, or in a process that is started; nothing of it is lost."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    line, after = done.stdout.splitlines()
    assert json.loads(line)["message"] == "a message"
    assert after == "after"
    assert done.stderr.count("noise of") == 4
