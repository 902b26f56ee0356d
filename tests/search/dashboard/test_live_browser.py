"""The live page in a real browser: it moves by itself, on a phone and for the keyboard, too."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tests import dashboards
from tests.dashboards import NARROW, WIDE
from tests.search import made

pytestmark = pytest.mark.soak  # a real browser
WaitFor = Callable[[Callable[[], bool]], None]
SERIOUS = ("serious", "critical")
LONG_MS = 120_000  # a machine may be busy


@pytest.fixture
def study(database: str) -> optuna.Study:
    """A question, half answered: trials that ended, two that run, the best on fresh seeds."""
    about = {"question": "Which optimizer?", "by": "optimizer", "budget": {"trials": 20}}
    study, asked = made.opened(**about)
    for i, score in enumerate((0.5, 0.6, 0.7, 0.4, 0.8, 0.75, 0.71, 0.3)):
        params = {"optimizer": ("sgd", "adam")[i % 2], "lr": 0.1 / (i + 1), "batch_size": 16}
        made.search(study, asked, [(params, score)])
    made.confirm_best(study, asked, made.noisy({"sgd": 0.5, "adam": 0.9}))
    for _ in range(2):
        made.ask(study, asked, {"optimizer": "adagrad", "lr": 0.3, "batch_size": 32}).report(0.3, 0)
    return study


def report(study: optuna.Study, value: float, step: int) -> None:
    """Of the first trial that runs."""
    running = study.get_trials(states=(TrialState.RUNNING,))[0]
    optuna.trial.Trial(study, running._trial_id).report(value, step)


def test_the_page_moves_without_a_reload(page: Any, study: optuna.Study, database: str) -> None:
    """In each of two tabs; what has the focus keeps it, and `hold still` keeps all as it is."""
    other = page.context.new_page()
    with dashboards.served(database) as address:
        for tab in (page, other):
            tab.goto(f"{address}/live/1")
            tab.evaluate("window.kept = true")
        page.locator("#running a").first.focus()
        report(study, 0.4321, 1)
        for tab in (page, other):
            tab.get_by_text("0.4321").first.wait_for(timeout=LONG_MS)
            assert tab.evaluate("window.kept")
        assert page.evaluate("document.activeElement.closest('section').id") == "running"
        page.get_by_role("button", name="hold still").click()
        report(study, 0.8765, 2)
        other.get_by_text("0.8765").first.wait_for(timeout=LONG_MS)
        other.close()
        assert page.get_by_text("0.8765").count() == 0
        page.get_by_role("button", name="hold still").click()
        page.get_by_text("0.8765").first.wait_for(timeout=LONG_MS)


def test_a_trial_is_ended_from_the_page(page: Any, study: optuna.Study, database: str) -> None:
    """Where the dashboard may edit, after a question; what the page says of it is read out."""
    number = study.get_trials(states=(TrialState.RUNNING,))[0].number
    with dashboards.served(database, is_editable=True) as address:
        page.goto(f"{address}/live/1")
        button = page.get_by_role("button", name=f"end trial {number}")
        page.once("dialog", lambda asked: asked.dismiss())
        button.click()
        assert study.trials[number].state == TrialState.RUNNING
        page.once("dialog", lambda asked: asked.accept())
        button.click()
        page.get_by_text(f"Trial {number} is ended").wait_for(timeout=LONG_MS)
        button.wait_for(state="detached", timeout=LONG_MS)
    assert study.trials[number].state == TrialState.PRUNED


def test_a_server_that_went_away_is_told_and_found_again(
    page: Any, study: optuna.Study, database: str
) -> None:
    """A run that ends takes its page with it; the next one, on the same port, is seen."""
    with dashboards.served(database) as address:
        page.goto(f"{address}/live/1")
        page.get_by_text("Which optimizer?").first.wait_for()
    page.get_by_text("The server does not answer").wait_for(timeout=LONG_MS)
    port = int(address.rpartition(":")[2])
    report(study, 0.4321, 1)
    with dashboards.served(database, port=port):
        page.get_by_text("0.4321").first.wait_for(timeout=LONG_MS)
        page.get_by_text("The server does not answer").wait_for(state="detached", timeout=LONG_MS)


@pytest.mark.parametrize(("screen", "scheme"), [(NARROW, "light"), (WIDE, "dark")])
def test_nothing_serious_keeps_anybody_from_reading_it(
    chromium: Any, study: optuna.Study, database: str, screen: dict[str, int], scheme: str
) -> None:
    """axe's rules (WCAG 2.2 A and AA among them); no scrolling sideways; all by the keyboard."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = chromium.new_context(viewport=screen, color_scheme=scheme)
    page = context.new_page()
    with dashboards.served(database) as address:
        page.goto(f"{address}/live/1")
        page.get_by_text("On fresh seeds").wait_for()
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in SERIOUS] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= screen["width"]
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.outerHTML.slice(0, 40)"))
        assert any("hold" in one for one in reached)
        assert any('class="wide"' in one for one in reached)
        page.screenshot(path=f"live-{screen['width']}-{scheme}.png", full_page=True)
    context.close()


def test_a_trial_and_a_run_that_confirms_have_their_pages(
    page: Any, study: optuna.Study, database: str
) -> None:
    """optuna-dashboard's own, behind the links; its list has the study once."""
    with dashboards.served(database) as address:
        page.goto(f"{address}/live/1")
        page.locator("#running a").first.click()
        page.wait_for_url(re.compile(r"/dashboard/studies/1/trials\?numbers=8"))
        page.get_by_text("Trial 8", exact=False).first.wait_for(timeout=LONG_MS)
        page.goto(f"{address}/dashboard/studies/2/trials?numbers=0")
        page.get_by_text("Trial 0", exact=False).first.wait_for(timeout=LONG_MS)
        page.goto(f"{address}/dashboard/")
        page.get_by_text("mine").first.wait_for(timeout=LONG_MS)
        assert page.get_by_text("mine:confirm").count() == 0


def test_a_run_serves_its_page_and_ends_with_it(
    folder: Path, command: Callable[..., Any], wait_for: WaitFor, page: Any
) -> None:
    """On a port of its own, whoever else has one; the address is the first line."""
    (folder / "mine.py").write_text(
        "import os, time\n"
        "def objective(trial):\n"
        "    trial.report(0.25, 0)\n"
        "    while not os.path.exists('go'): time.sleep(0.05)\n"
        "    return 0.5\n"
    )
    run = command("run", "--study", "./mine.yaml", "--workers", 1, "--trials", 1, "--dashboard")
    line = run.process.stderr.readline()
    found = re.search(r"live page, until this run ends: (http://127\.0\.0\.1:\d+/live/1)$", line)
    assert found is not None, line
    page.goto(found[1])
    page.get_by_text("Running now (1)").wait_for(timeout=LONG_MS)
    (folder / "go").touch()
    answer = run.end()
    assert answer.code == 0, answer.err
    with pytest.raises(OSError, match="refused"):
        dashboards.get(found[1])
