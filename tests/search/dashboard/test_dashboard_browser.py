"""The dashboard in a real browser, as a person meets it."""

import contextlib
import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.database import storage
from tests import dashboards
from tests.dashboards import NARROW, PASSWORD, WIDE

pytestmark = pytest.mark.soak  # a real browser


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/a.db"
    dashboards.make_study(url)
    return url


def names(url: str) -> list[str]:
    return [s.study_name for s in storage.open_storage(url).get_all_studies()]


def see_curve(page: Any, address: str) -> None:
    page.goto(f"{address}/dashboard/studies/1/trials?numbers=0")
    page.locator("img[src*='artifacts/1/']").first.wait_for(timeout=30_000)
    page.wait_for_function(
        "() => [...document.images].some(i => i.src.includes('/artifacts/1/')"
        " && i.complete && i.naturalWidth > 100)"
    )


def test_a_person_finds_a_trials_learning_curve_and_note(page: Any, url: str) -> None:
    """From the list of studies to the picture of one trial."""
    with dashboards.served(url) as address:
        page.goto(f"{address}/dashboard/")
        page.get_by_text("parabola").first.click()
        page.wait_for_url("**/studies/1**")
        page.locator(".js-plotly-plot").first.wait_for()
        see_curve(page, address)
        assert page.get_by_text("learning-curve-0.svg").count() > 0
        page.get_by_text("It stopped improving").wait_for()
        page.goto(f"{address}/dashboard/studies/1/trials?numbers=3")
        page.get_by_text("RuntimeError: <b>no</b> `shape` of | mine").first.wait_for()


def test_a_wrong_password_shows_nothing_and_the_right_one_everything(
    chromium: Any, url: str
) -> None:
    """Basic authentication, by the browser itself."""
    errors = pytest.importorskip("playwright.sync_api")
    with dashboards.served(url, password=PASSWORD) as address:
        for password in (None, "wrong", PASSWORD):
            login = {"username": "me", "password": password} if password else None
            context = chromium.new_context(http_credentials=login)
            page = context.new_page()
            if password == PASSWORD:
                assert page.goto(f"{address}/dashboard/").status == 200
                page.get_by_text("parabola").first.wait_for()
                see_curve(page, address)
            else:  # without a window nobody can be asked
                with contextlib.suppress(errors.Error):
                    assert page.goto(f"{address}/dashboard/").status == 401
                assert page.get_by_text("parabola").count() == 0
            context.close()


def test_a_running_study_is_seen_to_advance(page: Any, url: str) -> None:
    """Without reloading: the page asks again by itself, for numbers and the picture."""
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(url))
    with dashboards.served(url) as address:
        page.goto(f"{address}/dashboard/studies/1/trials?numbers=2")
        page.get_by_text("4 Trials").wait_for()
        for step in range(1, 4):
            optuna.trial.Trial(study, 3).report(0.1234 + step, step)
        study.tell(2, 0.9)
        study.tell(study.ask(), 0.95)
        page.get_by_text("5 Trials").wait_for(timeout=60_000)
        page.get_by_text("3.1234").first.wait_for(timeout=60_000)
        page.locator("img[src*='epochs=4']").wait_for(timeout=60_000)


def test_a_read_only_page_shows_no_buttons_that_change_and_refuses_them(
    page: Any, url: str
) -> None:
    """Whoever makes the button visible is told that it failed, and the study is there."""
    before = dashboards.dump(url)
    with dashboards.served(url) as address:
        page.goto(f"{address}/dashboard/")
        page.get_by_text("parabola").first.wait_for()
        tag = "getComputedStyle(document.querySelector('header .MuiToolbar-root'), '::after')"
        assert page.evaluate(f"{tag}.content") == '"read-only"'
        for label in ("delete study", "rename study"):
            button = page.get_by_label(label, exact=True)
            assert (button.count(), button.is_visible()) == (1, False)
        assert not page.get_by_role("button", name="Create").is_visible()
        ours = "[...document.querySelectorAll('head > style')]"
        page.evaluate(f"{ours}.find(s => s.textContent.includes('read-only')).remove()")
        page.get_by_label("delete study", exact=True).evaluate("b => b.click()")
        with page.expect_response(lambda r: r.request.method == "DELETE") as refused:
            page.get_by_role("button", name=re.compile("yes", re.IGNORECASE)).click()
        assert refused.value.status == 403
        page.get_by_text("Failed to delete study").wait_for()
    assert dashboards.dump(url) == before


def test_a_study_is_deleted_where_editing_is_allowed(page: Any, url: str) -> None:
    """By the same clicks; a note is written before that."""
    dashboards.make_study(url, "other")
    with dashboards.served(url, is_editable=True) as address:
        page.goto(f"{address}/dashboard/studies/2/note")
        page.get_by_text("Where is the top?").wait_for()
        page.locator("button:has([data-testid='EditIcon']), button:has([data-testid='CreateIcon'])"
                     ).first.click()  # fmt: skip
        page.locator("textarea").first.fill("this is **mine**")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("this is mine").wait_for()
        page.goto(f"{address}/dashboard/")
        page.get_by_text("parabola").first.wait_for()
        page.locator(".MuiCard-root", has_text="parabola").get_by_label("delete study").click()
        page.get_by_role("button", name=re.compile("yes", re.IGNORECASE)).click()
        page.get_by_text("parabola").first.wait_for(state="detached")
        page.goto(f"{address}/dashboard/studies/2/note")
        page.get_by_text("this is mine").wait_for()
    assert names(url) == ["other"]


@pytest.mark.parametrize("screen", [NARROW, WIDE], ids=["narrow", "wide"])
def test_a_note_fits_the_screen(page: Any, url: str, screen: dict[str, int]) -> None:
    """Question, answer and whole commands, on a phone as well."""
    page.set_viewport_size(screen)
    with dashboards.served(url) as address:
        page.goto(f"{address}/dashboard/studies/1/note")
        page.get_by_text("optsearch train best.yaml").wait_for()
        page.screenshot(path=str(Path(url.removeprefix("sqlite:///")).parent / "note.png"))
        for text in ("Where is the top?", "optsearch run --study FILE"):
            box = page.get_by_text(text).bounding_box()
            assert 0 <= box["x"] <= box["x"] + box["width"] <= screen["width"]


def test_a_storage_that_is_away_is_a_page_that_comes_back(page: Any, tmp_path: Path) -> None:
    """What a person sees who opens the dashboard before the database is there."""
    page.set_viewport_size(NARROW)
    with dashboards.served("postgresql://me:s3cr3t@127.0.0.1:1/db") as address:
        assert page.goto(f"{address}/dashboard/").status == 503
        page.get_by_role("heading", name="Waiting for the storage").wait_for()
        assert "s3cr3t" not in page.content()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
