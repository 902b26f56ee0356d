"""The README's pictures of the terminal, a report and the dashboard, from a study that was run.

    optsearch run --study digits && python -m docs.pictures runs/optsearch.db

Needs Chromium and Playwright, as the tests of the dashboard do.
"""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from playwright.sync_api import sync_playwright
from rich.console import Console

from search import plots
from search.answers import report
from search.cli import brief, summary
from search.database.storage import DEFAULT_FILE, DEFAULT_URL
from search.record import results
from search.record import study as studies
from search.terminal import panel
from tests import dashboards

HERE = Path(__file__).resolve().parent
LINES = 6  # trials of the terminal's picture
DRAWN_MS = 2000  # until the figures of a page have drawn themselves


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A browser without a window, with a profile of its own."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield opened
        opened.close()


def take(opened: Any, address: str, picture: str, width: int, height: int, waits_for: str) -> None:
    """The top of a page, in pixels, once a text stands on it."""
    page = opened.new_page(viewport={"width": width, "height": height})
    page.goto(address)
    page.get_by_text(waits_for).first.wait_for()
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=HERE / picture)
    page.close()


def terminal(study: optuna.Study) -> None:
    """The end of its run: the last trials, and the answer."""
    console = Console(record=True, width=88, file=io.StringIO(), highlight=False, markup=False)
    console.print(f"$ optsearch run --study {study.study_name}", style="bold")
    ended = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    ended.sort(key=lambda t: results.moment(t.datetime_complete))
    console.print(panel.HEAD, style="dim")
    for trial in ended[-LINES:]:
        console.print(panel.event(trial), no_wrap=True, overflow="ellipsis")
    spec = studies.stored_spec(study)
    assert spec is not None
    Path("best").mkdir()  # as the run left it, beside best.yaml
    brief.console = summary.console = console
    brief.print_answer(study, spec, Path("best.yaml"), "")
    drawn = console.export_svg(title="optsearch")
    fonts = r"@font-face \{.*?\}\s*"  # of another server: whoever looks has a font of equal widths
    (HERE / "run.svg").write_text(re.sub(fonts, "", drawn, flags=re.DOTALL))


def draw(name: str) -> None:
    """All pictures, of a study in the default storage."""
    study = studies.load_study(name, DEFAULT_URL)
    terminal(study)
    html = Path("report.html").absolute()
    html.write_text(report.html(study, plots.drawn(study)), encoding="utf-8")
    with browser() as opened, dashboards.served(DEFAULT_URL) as address:
        take(opened, html.as_uri(), "report.png", 760, 730, "On fresh seeds")
        note = f"{address}/dashboard/studies/{study._study_id}/note"
        take(opened, note, "dashboard.png", 880, 750, "Confirmed on fresh seeds")


if __name__ == "__main__":
    database, study = Path(sys.argv[1]).absolute(), (sys.argv[2:] or ["digits"])[0]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        DEFAULT_FILE.parent.mkdir()
        shutil.copy(database, DEFAULT_FILE)  # so that no path of this machine is in the pictures
        draw(study)
