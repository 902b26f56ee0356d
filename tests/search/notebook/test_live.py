"""A run's view in a notebook, by the displays of a real IPython."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import IPython
import optuna
import pytest
from IPython.utils.capture import RichOutput, capture_output

from search.dashboard import seen as seeing
from search.notebook import frame, live
from search.record import study as studies
from search.record.budget import Limits
from search.record.listener import Listener
from search.record.progress import Progress
from search.studyfile.spec import StudySpec
from tests.search import made

ODD = '<img src=x onerror="alert(1)">'


@pytest.fixture
def shell() -> Iterator[Any]:
    """IPython as a cell finds it."""
    kind: Any = IPython.core.interactiveshell.InteractiveShell
    yield kind.instance()
    kind.clear_instance()


@pytest.fixture
def study(opened: tuple[optuna.Study, StudySpec]) -> optuna.Study:
    """Four trials of two optimizers, and one that runs."""
    study, asked = opened
    running = made.ask(study, asked, {"optimizer": "adagrad", "lr": 0.3, "batch_size": 32})
    running.report(0.33, 0)
    return study


def shown(study: optuna.Study, listener: Listener) -> list[RichOutput]:
    """What is displayed while a study is looked at for once."""
    with capture_output() as caught, Progress(study, Limits(20), None, listener):
        pass
    return list(caught.outputs)


def words(text: str) -> str:
    body = text.partition("</style>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_one_output_is_drawn_anew_in_its_place(shell: Any, study: optuna.Study) -> None:
    """Also where the runs that confirm the study are looked at: it is still the study's."""
    listener = live.InNotebook()
    first, *others = shown(study, listener)
    assert [o.update for o in (first, *others)] == [False] + [True] * len(others)
    (name,) = {o.transient["display_id"] for o in (first, *others)}
    optuna.trial.Trial(study, study.trials[4]._trial_id).report(0.9, 1)
    confirming = optuna.create_study(
        study_name=study.study_name + studies.SUFFIX, storage=study._storage, direction="maximize"
    )
    confirming.set_user_attr(studies.CONFIRMS, study.study_name)
    again = shown(confirming, listener)
    assert {o.transient["display_id"] for o in again} == {name}
    assert all(o.update for o in again)
    told = words(again[-1].data["text/html"])
    for part in ("Which optimizer?", "4 complete, 1 running", "So far trial 2", "0.9000"):
        assert part in told


def test_it_needs_no_script_no_server_and_no_style(shell: Any, study: optuna.Study) -> None:
    """A viewer of notebooks may drop the style: pictures bring their colours."""
    *_, last = shown(study, live.InNotebook())
    whole = last.data["text/html"]
    assert whole.count('<svg class="chart"') == 2
    for absent in ("<script", "http", 'href="/', "var(", 'class="line', 'class="dot', "<h2"):
        assert absent not in whole
    assert 'stroke="#' in whole
    assert 'fill="currentColor"' in whole
    assert last.data["text/plain"].startswith("mine: 4 complete, 1 running; best")


def test_it_is_drawn_seldom(shell: Any, study: optuna.Study) -> None:
    """However often a run tells how it stands: what is drawn is sent to a browser."""
    listener = live.InNotebook()
    with capture_output() as caught, Progress(study, Limits(20), None, listener) as progress:
        for _ in range(20):
            progress.update(force=True)
        listener._due = float("inf")
        before = len(caught.outputs)
        progress.update(force=True)
        assert len(caught.outputs) == before < 20
    assert len(caught.outputs) > before  # how it ended is shown in any case


def test_what_a_run_says_and_prints_stands_below(shell: Any, study: optuna.Study) -> None:
    """As text, the last few lines of it; a warning stays."""
    listener = live.InNotebook()
    with capture_output() as caught:
        for i in range(live.LINES + 1):
            listener.printed("mine", i, f"{ODD} \x1b[31mred\x1b[0m {i}")
        listener.say("mine", "results are kept here")
    whole = caught.outputs[-1].data["text/html"]
    assert "<img" not in whole
    assert "\x1b" not in whole
    assert f"{live.LINES} |" in whole
    assert "   1 |" not in whole
    assert "results are kept here</pre>" in whole
    with capture_output() as caught:
        listener.warn("mine", "of `this` be warned")
        for _ in range(live.LINES):
            listener.say("mine", "a line")
    assert "of <code>this</code> be warned" in caught.outputs[-1].data["text/html"]


def test_words_of_a_study_are_never_markup(shell: Any, database: str) -> None:
    study, asked = made.opened(question=ODD, by="optimizer", budget={"trials": 20})
    made.search(study, asked, [({"optimizer": "adam", "lr": 0.1, "batch_size": 16}, 0.5)])
    assert "<img" not in live.html(seeing.see(study), live.deque([ODD]))


def test_colours_can_be_told_from_a_light_page_and_a_dark_one() -> None:
    """WCAG asks for 3 of what is drawn."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))

    for page in ("#ffffff", "#111111", "#1e1e1e"):
        for color in frame.ARMS:
            low, high = sorted((luminance(page), luminance(color)))
            assert (high + 0.05) / (low + 0.05) >= 3, (page, color)


def test_a_script_and_ipython_at_a_terminal_are_no_notebook() -> None:
    code = (
        "from search.notebook import here; found = [here.is_here()]; import IPython;"
        "IPython.InteractiveShell.instance(); print([*found, here.is_here()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, False]"
