"""Programs that are asked for what they know, with a limit: one that hangs is a finding, too."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

LIMIT_S = 90  # torch's import from a cold network disk takes most of a minute


class Answer(NamedTuple):
    """What a program printed; `fault` is why it did not, "" where it did."""

    out: str
    fault: str = ""


def program(command: Sequence[str], limit_s: float) -> Answer | None:
    """Run a program to its end; None where there is none of that name."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        return Answer("", f"no answer in {limit_s:g} s")
    except OSError as error:
        return Answer("", error.strerror or str(error))
    return Answer(done.stdout, fault(done.returncode, done.stdout, done.stderr))


def fault(code: int, out: str, err: str) -> str:
    """Why a program failed: its signal, or the last thing that it said; "" of one that did not."""
    if not code:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    said = (err.strip() or out.strip()).splitlines()
    return said[-1].strip() if said else f"exit code {code}"


def survey(name: str) -> tuple[dict[str, Any], str]:
    """What a function of `objectives/survey.py` returns, and why it does not: one is empty."""
    code = f"import json; from objectives import survey; print(json.dumps(survey.{name}()))"
    answer = program([sys.executable, "-c", code], LIMIT_S)
    if answer is None or answer.fault:
        return {}, answer.fault if answer else f"{sys.executable} is gone"
    return json.loads(answer.out.strip().splitlines()[-1]), ""
