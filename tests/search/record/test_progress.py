"""search/record/progress.py and search/terminal: what is seen of a run."""

import io
import json
import os
import platform
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from search.record import chains, results, study
from search.record.budget import Limits
from search.record.listener import Listener
from search.record.progress import Progress, Standing
from search.studyfile import reading
from search.terminal import panel

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"
AT = ("--storage", URL)
RUN = ("run", "--study", "./mine.yaml", "--workers", 1, *AT)
WATCH = ("show", "--study", "mine", "--watch", *AT)
LONG = "a-parameter-whose-name-is-much-longer-than-most"


def standing(workers: int, hosts: int = 1, **changed: Any) -> Standing:
    """Four trials that have ended, each in another way, and some that run."""
    made = optuna.create_study(study_name="cifar", direction="maximize")
    ends = [
        (TrialState.COMPLETE, "plateau", 0.81),
        (TrialState.PRUNED, "hopeless", None),
        (TrialState.PRUNED, "diverged", None),
        (TrialState.FAIL, "exception", None),
    ]
    for i in range(4 + workers):
        trial = made.ask()
        trial.suggest_categorical("optimizer", ["sgd"])
        trial.suggest_float(LONG, 0.5, 0.5)
        trial.set_user_attr("epochs_planned", 50)
        trial.set_user_attr("device", "NVIDIA H200")
        trial.set_user_attr(chains.LEASE, {"host": f"node-{i % hosts}"})
        trial.set_user_attr("history", {"seconds": [9.0, 2.0, 2.0, 2.0, 2.0, 2.0]})
        for step in range(6):
            trial.report(0.1 * step, step)
        if i < len(ends):
            state, reason, value = ends[i]
            trial.set_user_attr("reason", reason)
            if reason == "exception":
                trial.set_user_attr("error", "Traceback ...\nRuntimeError: no such layer")
            made.tell(trial, value, state)
    given = {"limits": Limits(40), "seconds": 60.0, "seconds_left": 7200.0, **changed}
    best = results.ranking(made)[0]
    return Standing("cifar", "val_accuracy", made.trials, best, **given)


def drawn(stands: Standing, width: int = 80, height: int = 24) -> list[str]:
    """The lines of the panel on a terminal of that size."""
    console = Console(file=io.StringIO(), record=True, width=width, height=height)
    console.print(panel.panel(stands, width, height))
    return console.export_text().splitlines()


def test_the_panel_tells_budget_workers_and_best() -> None:
    """How much is done and what time is left; of each worker the trial, its epochs, score,
    seconds an epoch (of the last ones) and device; of the best its score and parameters."""
    text = "\n".join(drawn(standing(2)))
    for words in (
        "cifar",
        "4/40 trials 2 h 00 min left",
        "1 complete · 2 pruned · 1 failed · 2 running",
        "6/50 0.5000 2 s/ep H200 sgd",
        "best val_accuracy 0.8100 trial 0",
        f"sgd {LONG}=0.5",
    ):
        assert words in text
    assert {line.split()[0] for line in drawn(standing(2)) if "6/50" in line} == {"4", "5"}


def test_a_trial_that_has_just_begun_has_no_dashes() -> None:
    """Its parameters may not be known yet, nor its score."""
    stands = standing(1)
    trial = stands.running[0]
    trial.params.clear()
    trial.intermediate_values.clear()
    trial.user_attrs.clear()
    (line,) = [line for line in drawn(stands) if line.split()[:1] == ["4"]]
    assert line.split()[-3:] == ["0", "ep", "begins"]
    assert " - " not in line


def test_a_trial_of_another_host_is_told_with_it() -> None:
    """In the lines of whoever looks on from here."""
    (ended, *_) = standing(0).trials
    assert "plateau     on node-0: sgd" in panel.event(ended).plain
    ended.user_attrs[chains.LEASE]["host"] = platform.node()
    assert "plateau     sgd" in panel.event(ended).plain


def test_an_open_trial_that_has_shown_more_than_the_best_is_told() -> None:
    """The best is one that ended; which way is up is the study's."""
    stands = standing(2)
    assert "open" not in "\n".join(drawn(stands))
    best = stands.best
    assert best is not None
    best.value = 0.4
    told = "\n".join(drawn(stands))
    assert "open val_accuracy 0.5000 trial 4, which has not ended" in told
    lower = "\n".join(drawn(stands._replace(is_high_good=False)))
    assert "open val_accuracy 0.0000 trial 4, which has not ended" in lower
    none = "\n".join(drawn(stands._replace(best=None)))
    assert "open val_accuracy 0.5000 trial 4" in none


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("workers", [0, 1, 9, 20, 200])
def test_the_panel_fits_the_terminal(width: int, workers: int) -> None:
    """No line is longer, none is wrapped, and the last events stay visible above it."""
    lines = drawn(standing(workers, hosts=2), width)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24 - 6
    rows = [line for line in lines if "6/50" in line]
    left = workers - len(rows)
    assert (f"  ... and {left} more" in "\n".join(lines)) == (left > 0)
    assert left != 1  # its line would have had room for the worker
    if workers == 20:
        assert left == 12


def test_hosts_are_told_where_there_are_several() -> None:
    """Beside the device."""
    assert "node-1 H200" in "\n".join(drawn(standing(2, hosts=2)))
    assert "node" not in "\n".join(drawn(standing(2)))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(40, 36, 50), "36/36 epochs"),
        (Limits(4, 3600, 50), "4/4 trials"),
        (Limits(None, 72, 50), "36/72 epochs"),
        (Limits(), "4/? trials"),
    ],
)
def test_the_bar_is_of_the_limit_that_is_reached_first(limits: Limits, words: str) -> None:
    """Trials or epochs."""
    assert words in "\n".join(drawn(standing(2, limits=limits)))


def test_events_say_why_a_trial_ended() -> None:
    """State, score with the word at the best, reason, and what an exception said."""
    ended = [t for t in standing(0).trials if t.state.is_finished()]
    lines = [panel.event(t, t.number == 0).plain for t in ended]
    for line, words in zip(
        lines,
        (
            ("complete", "0.8100 best", "plateau"),
            ("pruned", "hopeless"),
            ("diverged",),
            ("exception",),
        ),
        strict=True,
    ):
        for word in (*words, f"sgd {LONG}=0.5"):
            assert word in line
    assert lines[3].endswith("RuntimeError: no such layer")


def test_what_an_objective_prints_bears_the_number_of_its_trial() -> None:
    """In its own colours, and not read as markup."""
    line = panel.printed(12, "\x1b[32mdone\x1b[0m [bold]x[/bold]")
    assert line.plain == "  12 | done [bold]x[/bold]"
    coloured = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=80)
    coloured.print(line)
    assert "\x1b[32mdone\x1b[0m" in coloured.file.getvalue()  # type: ignore[attr-defined]
    assert panel.printed(None, "a").plain == "     | a"


@pytest.mark.parametrize("is_plain", [False, True])
def test_colour_is_for_terminals_and_for_those_who_want_it(
    is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR is respected."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if is_plain:
        monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(panel.event(standing(0).trials[0], is_best=True), panel.panel(standing(2)))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert bool(re.search(r"\x1b\[[0-9;]*(3[0-9]|9[0-9])[;m]", written)) == (not is_plain)


# Progress: what is new, told once


class Told(Listener):
    """Keeps what it is told."""

    is_visual = True

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Any]] = []
        self.standing: Standing | None = None

    def say(self, study: str, message: str) -> None:
        self.lines.append(("message", study, message))

    def began(self, study: str, trial: optuna.trial.FrozenTrial) -> None:
        self.lines.append(("begin", study, trial.number))

    def ended(self, study: str, trial: optuna.trial.FrozenTrial, is_best: bool) -> None:
        self.lines.append(("end", study, (trial.number, is_best)))

    def show(self, standing: Standing) -> None:
        self.standing = standing


def test_each_trial_is_told_once_and_two_studies_may_share_a_log() -> None:
    """Beginnings and ends in the order of the ends; what ended before is not told, unless the
    last few are asked for."""
    told = Told()
    for name in ("a", "b"):
        made = optuna.create_study(study_name=name, direction="maximize")
        first, second = made.ask(), made.ask()
        made.tell(first, 1.0)
        with Progress(made, Limits(3), None, told) as progress:
            second.report(1, 0)
            progress.update(force=True)
            made.tell(second, 2.0)
            progress.update(force=True)
            progress.update(force=True)
            progress.say("hello")
    assert told.lines == [
        line
        for name in ("a", "b")
        for line in (("begin", name, 1), ("end", name, (1, True)), ("message", name, "hello"))
    ]
    late = Told()
    with Progress(made, Limits(3), None, late, earlier=1):
        pass
    assert late.lines == [("end", "b", (1, True))]


def test_the_time_left_is_that_of_the_last_trials_and_not_beyond_the_deadline() -> None:
    """So it is known from outside, and at once."""
    stands = standing(2)
    for trial in stands.trials[:4]:
        assert trial.datetime_start
        trial.datetime_complete = trial.datetime_start.replace(year=2999)
    made = optuna.create_study()
    made.add_trials(stands.trials[:4])
    made.ask()
    left = []
    for deadline in (None, time.monotonic() + 1000):
        told = Told()
        with Progress(made, Limits(6), deadline, told) as progress:
            progress.update()
            assert told.standing
            left.append(told.standing.seconds_left)
    assert left[0] > 900 * 365 * 86400
    assert 0 < left[1] <= 1000


# The logs of a command


@pytest.mark.soak
def test_json_is_an_object_a_line_and_nothing_else(cli: Cli, database: str) -> None:
    """Each with time, event and study; every trial begins and ends; the answer is the last."""
    answer = cli(*RUN, "--log", "json")
    assert (answer.code, answer.err) == (0, "")
    events = [json.loads(line) for line in answer.out.splitlines()]
    assert all(e["ts"].endswith("Z") and e["study"] == "mine" for e in events)
    for kind in ("begin", "end"):
        assert sorted(e["trial"] for e in events if e["event"] == kind) == [0, 1, 2, 3]
    ends = [e for e in events if e["event"] == "end"]
    for end in ends:
        assert {"state", "reason", "value", "epochs", "params", "is_best"} <= end.keys()
    assert {e["state"] for e in ends} <= {"complete", "pruned"}
    assert [e["event"] for e in events].index("answer") == len(events) - 1
    assert (events[-1]["file"], events[-1]["budget"]["started"]) == ("best.yaml", 4)
    assert events[-1]["best"]["value"] == max(e["value"] for e in ends)


@pytest.mark.soak
def test_json_tells_messages_and_what_went_wrong(cli: Cli, write: Write, database: str) -> None:
    """A dead worker, an exception, a score that is no JSON number."""
    write(
        "mine.py",
        """
        import os
        def objective(trial):
            trial.suggest_float("x", 0, 1)
            if trial.number == 0:
                os._exit(7)
            if trial.number == 1:
                return float("inf")
            raise RuntimeError("no such layer")
        """,
    )
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 3, retries: 0}\nseed: 1\n")
    answer = cli(*RUN, "--log", "json")
    events = [json.loads(line, parse_constant=pytest.fail) for line in answer.out.splitlines()]
    said = [e["message"] for e in events if e["event"] == "message"]
    assert "a worker died (exit code 7); another one takes its place" in said
    ends = {e["trial"]: e for e in events if e["event"] == "end"}
    assert (ends[0]["state"], ends[0]["reason"]) == ("failed", "crashed")
    assert (ends[1]["state"], ends[1]["value"]) == ("pruned", None)
    assert ends[2]["error"] == "RuntimeError: no such layer"


@pytest.mark.soak
def test_quiet_prints_the_answer_alone(cli: Cli, database: str) -> None:
    """And errors, on standard error."""
    answer = cli(*RUN, "--log", "quiet")
    assert (answer.code, answer.err) == (0, "")
    assert " ep " not in answer.out
    assert answer.out.strip().startswith("Where is the top of the parabola?")
    wrong = cli("run", "--study", "./nosuch.yaml", "--log", "quiet")
    assert (wrong.code, wrong.out) == (6, "")
    assert "no such file" in wrong.err


@pytest.mark.soak
def test_a_worker_logs_as_a_run_does(cli: Cli, database: str) -> None:
    """JSON with an answer; quiet without a word, for people read it where the study was made."""
    made = study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]
    joined = cli("worker", "--study", "mine", *AT, "--log", "json", "--workers", 1)
    events = [json.loads(line) for line in joined.out.splitlines()]
    assert [e["event"] for e in events][-1] == "answer"
    assert len([e for e in events if e["event"] == "end"]) == len(made.trials) == 4
    assert cli("worker", "--study", "mine", *AT, "--log", "quiet").out == ""


def test_a_dry_run_speaks_json_too(cli: Cli, database: str) -> None:
    """What it found is the answer."""
    (line,) = cli(*RUN, "--dry-run", "--log", "json").out.splitlines()
    assert {"event", "params", "seconds", "memory_bytes", "workers"} <= json.loads(line).keys()


@pytest.mark.soak
def test_an_unknown_log_is_refused(cli: Cli) -> None:
    """With those that there are."""
    answer = cli(*RUN, "--log", "xml")
    assert answer.code == 2
    assert "'xml' is none of plain, quiet, json" in answer.err


# Looking on from outside


@pytest.mark.soak
def test_show_watch_ends_with_the_study(
    cli: Cli, command: Callable[..., Any], database: str
) -> None:
    """It may begin before anybody runs it, tells each trial, and ends with the answer when the
    budget is used up."""
    made = study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]
    looks = command(*WATCH, "--log", "json")
    assert cli(*RUN).code == 0
    ended = looks.end()
    assert (ended.code, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert events[-1]["event"] == "answer"
    assert events[-1]["budget"] == {"trials": 4, "started": 4}
    again = cli(*WATCH)  # there is nothing to wait for
    assert again.code == 0
    assert "4 trials: " in again.out
    assert len(made.trials) == 4


@pytest.mark.soak
def test_ctrl_c_ends_the_looking_on_and_nothing_else(
    command: Callable[..., Any], database: str
) -> None:
    """Exit code 0, with the answer so far; the study is as it was."""
    made = study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]
    trial = made.ask()
    trial.suggest_float("x", -10, 10)
    looks = command(*WATCH, "--log", "json")
    assert json.loads(looks.process.stdout.readline())["event"] == "begin"
    looks.interrupt()
    ended = looks.end()
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out.splitlines()[-1])["event"] == "answer"
    assert made.trials[0].state == TrialState.RUNNING


@pytest.mark.soak
def test_show_watch_ends_where_runs_give_up(cli: Cli, write: Write, database: str) -> None:
    """Each of the first trials failed: the budget will never be used up."""
    write("mine.py", "def objective(trial):\n    raise RuntimeError('no such layer')\n")
    assert cli(*RUN, "--trials", 9).code == 1
    looked = cli(*WATCH)
    assert looked.code == 0
    assert "3 trials: 3 failed" in looked.out


@pytest.mark.soak
@pytest.mark.parametrize("who", ["run", "show"])
def test_a_study_that_is_deleted_meanwhile_is_told_in_a_line(
    cli: Cli, command: Callable[..., Any], database: str, write: Write, who: str
) -> None:
    """By those that run it and by those that look on."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(600):
                time.sleep(0.1)
                trial.report(epoch, epoch)
            return 1.0
        """,
    )
    if who == "show":
        study.open_study(reading.load("./mine.yaml").spec, URL, {})[0].ask().report(1, 0)
    at_it = command(*(RUN if who == "run" else WATCH), "--log", "json")
    events = (json.loads(line)["event"] for line in at_it.process.stdout)
    assert next(event for event in events if event != "message") == "begin"
    assert cli("delete", "--study", "mine", "--yes", *AT).code == 0
    ended = at_it.end()
    assert (ended.code, "Traceback" in ended.err) == (6, False), ended.err
    assert ended.err.strip() == "study 'mine' was deleted meanwhile"


@pytest.mark.parametrize("options", [("--json",), ("--csv",), ("--history",)])
def test_show_refuses_options_that_do_not_go_together(
    cli: Cli, database: str, options: tuple[str, ...]
) -> None:
    """A live view is no table."""
    wrong = cli(*WATCH, *options)
    assert (wrong.code, "--log json" in wrong.err) == (2, True)
    wrong = cli("show", "--study", "mine", "--log", "json", *AT)
    assert (wrong.code, "--watch" in wrong.err) == (2, True)


def _plain(seen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)


@pytest.mark.soak
def test_a_terminal_gets_a_panel(database: str, write: Write) -> None:
    """The real thing, on a pseudo-terminal of 80 columns; Ctrl-C leaves it in order."""
    write(
        "mine.py",
        """
        import time
        def objective(trial, epochs=300):
            trial.set_user_attr("epochs_planned", epochs)
            for epoch in range(epochs):
                time.sleep(0.1)
                trial.report(epoch, epoch)
            return trial.params["x"]
        """,
    )
    ours, theirs = pty.openpty()
    main = "from search.cli import main; main()"
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    environment.pop("NO_COLOR", None)
    arguments = [sys.executable, "-c", main, *map(str, RUN)]
    started = subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = ""
    while not re.search(r"\d+/300 +\d+\.\d{4}", _plain(seen)):
        seen += os.read(ours, 4096).decode(errors="replace")
    started.send_signal(signal.SIGINT)
    try:
        while part := os.read(ours, 4096):
            seen += part.decode(errors="replace")
    except OSError:  # how Linux tells that the other end is closed
        pass
    assert started.wait(60) == 130
    os.close(ours)
    shown = _plain(seen)
    assert "0/4 trials" in shown
    assert re.search(r" 0 .*\d+/300 +\d+\.\d{4}", shown)
    assert "finishing the running epochs; Ctrl-C again" in " ".join(shown.split())
    assert "\x1b[?25l" in seen  # the cursor was hidden
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")  # and is there again
