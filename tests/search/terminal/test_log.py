"""log.py: `--log json` keeps standard output to itself."""

import json
import subprocess
import sys
from pathlib import Path

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
