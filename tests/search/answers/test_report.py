"""report.py and `optsearch report`: one file that a person can send, in a real browser."""

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search import plots
from search.answers import compare, confirm, evidence, markup, report, sentences
from search.record import chains
from search.record import study as studies
from tests.search import made
from tests.search.plots.test_plots import NASTY, odd_studies, rich

Cli = Callable[..., Any]
SGD = {"optimizer": "sgd", "lr": 0.01, "batch_size": 32}


def html_of(study: optuna.Study) -> str:
    """The whole report, its figures included."""
    return report.html(study, plots.drawn(study))


def headings(text: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r"<h2>(.*?)</h2>", text)]


def body(text: str) -> str:
    """The report without its scripts."""
    return text.split("<body>")[1].split("<script>")[0]


def figures(text: str) -> dict[str, Any]:
    """The data behind the figures, read as the browser reads it."""
    found = re.search(r"^const figures = (.*);$", text, re.MULTILINE)
    assert found is not None
    read = json.loads(found[1])
    assert isinstance(read, dict)
    return read


# What it says


def test_it_opens_with_the_answer_and_its_interval(database: str) -> None:
    """Question, best configuration, then what the fresh seeds say of it."""
    study = rich()
    known = evidence.of(study)
    assert known is not None
    assert known.winner is not None
    first, *rest = sentences.answer(study)
    assert first.startswith("The best that was found: adagrad")
    assert f"trial {known.winner.number}" in rest[0]
    assert str(known.winner.interval) in rest[0]
    assert body(html_of(study)).index(html.escape(rest[0])) < 3_000


def test_one_seed_has_no_interval(database: str) -> None:
    """Nothing is claimed about luck."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8)])
    lines = sentences.answer(opened)
    assert lines[1] == (
        "Trial 0, val_accuracy 0.8000 with one seed: how much of it is luck is not known."
    )
    assert "±" not in body(html_of(opened))


def test_the_sections_follow_each_other(database: str) -> None:
    """Answer, comparison, advice, then figures, failures, origin and replay."""
    found = headings(html_of(rich()))
    assert found == [
        "On fresh seeds",
        "Compared by optimizer",
        "The best trials",
        "What to do next",
        "Learning curves",
        "The best trials, epoch by epoch",
        "Learning rate",
        "How the search went",
        "What matters",
        "Each parameter by itself",
        "All parameters together",
        "Score against time",
        "Where trials ended",
        "What failed",
        "What was asked",
        "Where it comes from",
        "To replay it",
    ]


@pytest.mark.parametrize(
    ("top", "told"),
    [
        (1, "; trial 2 is first as fresh seeds were given to it alone."),
        (2, "; the first 2 in the order that fresh seeds gave them."),
        (3, ", in the order that fresh seeds gave them."),
    ],
)
def test_no_order_is_told_of_trials_that_fresh_seeds_have_not_seen(
    database: str, top: int, told: str
) -> None:
    opened, asked = made.opened()
    tried = (("sgd", 0.5), ("adam", 0.6), ("adagrad", 0.7))
    made.search(opened, asked, [(SGD | {"optimizer": name}, score) for name, score in tried])
    means = dict(tried)
    made.confirm_best(opened, asked, made.noisy(means), top=top, seeds=2)
    assert f"As the search saw them, with one seed each{told}" in report._best(opened, {})


def test_a_command_in_a_sentence_is_shown_as_one(database: str) -> None:
    """Whatever else is in the text stays text."""
    told = markup.paragraph("`optsearch confirm --study <b>` trains them")
    assert told == "<p><code>optsearch confirm --study &lt;b&gt;</code> trains them</p>"
    assert markup.listed(["see `show`"]) == "<ul><li>see <code>show</code></li></ul>"


def test_an_interval_of_a_share_ends_where_shares_do(database: str) -> None:
    """Of the test, too, where another score was searched by, whose bounds nobody knows."""
    opened, asked = made.opened(prepared={"metric": "value"})
    made.search(opened, asked, [(SGD, 1.0)])
    made.confirm_best(opened, asked, made.noisy({"sgd": 1.14}, noise=0.05), top=1, seeds=2)
    known = evidence.of(opened)
    assert known is not None
    assert known.test_metric == "test_accuracy"
    assert known.winner is not None
    seen, test = known.winner.interval, known.winner.test
    assert seen is not None
    assert test is not None
    assert (seen.high or 0) > 1
    assert test.high == 1.0


def test_a_section_without_anything_to_show_is_left_out(database: str) -> None:
    """A study without a trial has its question and what was asked."""
    opened, _ = made.opened()
    text = html_of(opened)
    assert "No trial is complete yet" in text
    assert headings(text) == ["What was asked", "Where it comes from"]
    assert figures(text) == {}


@pytest.mark.soak
def test_a_study_without_a_complete_trial_shows_what_there_is(database: str) -> None:
    """Failures by reason with what they said, and where trials were pruned."""
    opened, asked = made.opened()
    made.prune(opened, made.ask(opened, asked, SGD), 0.1)
    made.fail(opened, made.ask(opened, asked, SGD), "ValueError: lr <= 0")
    text = html_of(opened)
    assert "No trial is complete yet" in text
    assert "ValueError: lr &lt;= 0" in text
    assert {"Where trials ended", "What failed"} <= set(headings(text))
    assert "Of 4 epochs planned, pruning saved 3 and patience 0." in text


@pytest.mark.soak
def test_published_figures_stand_beside_measured_ones(database: str) -> None:
    """With the interval where there is one, and the word for it where there is not."""
    listed = [
        {"name": "low", "params": {"lr": 0.1}, "published": {"test_accuracy": 0.7}},
        {"name": "high", "params": {"lr": 0.2}},
    ]
    opened, asked = made.opened(configurations=listed)
    made.enumerate_all(opened, asked, {"low": 0.3, "high": 0.4})
    section = body(html_of(opened)).split("Published and measured")[1].split("</section>")[0]
    assert "test_accuracy 0.7" in section
    assert "0.3000, one seed" in section
    made.confirm_best(opened, asked, made.noisy({0.1: 0.3, 0.2: 0.4}, by="lr"))
    text = html_of(opened)
    section = body(text).split("Published and measured")[1].split("</section>")[0]
    known = evidence.of(opened)
    assert known is not None
    low = known.of(0)
    assert low is not None
    assert low.interval is not None
    assert low.interval.short in section
    assert "How the search went" not in headings(text)  # nothing was searched


def test_it_tells_how_to_replay_the_best(database: str) -> None:
    """A name with a space is quoted for the shell."""
    opened, asked = made.opened("my study")
    made.search(opened, asked, [(SGD, 0.8)])
    text = html.unescape(html_of(opened))
    export = "optsearch export --study 'my study' --storage sqlite:///a.db"
    assert f"{export}\noptsearch train best.yaml" in text


def test_it_tells_nothing_about_the_machine_but_its_hardware(database: str) -> None:
    """A colleague needs versions and fingerprints, and no folders or hosts."""
    settings = {"data_dir": "/home/me/secret", "epochs": 4}
    prepared = {"data": {"name": "digits", "fingerprint": "sha256:12"}, "settings": settings}
    opened, asked = made.opened(prepared=prepared, settings=settings)
    made.search(opened, asked, [(SGD, 0.8)])
    text = body(html_of(opened))
    assert "secret" not in text
    for told in ("an abacus", "sha256:12", "optuna 5", opened.user_attrs["code"]):
        assert told in text


# How it is made


@pytest.mark.soak
def test_it_is_one_file_that_loads_nothing(database: str) -> None:
    """plotly.js is in it once, and no element names another file."""
    text = html_of(rich())
    assert text.count("plotly.js v") == 1
    own = body(text) + text.split("<body>")[0] + text[text.rindex("<script>") :]
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", own)
    assert "default-src 'none'" in text


def test_texts_from_the_database_are_shown_and_never_run(database: str) -> None:
    """Names, parameters and errors may hold markup, ends of scripts and template signs."""
    evil = "</script><script>alert(1)</script>&$body"
    opened, asked = made.opened(
        evil[:90], space={evil: {"choice": [evil, "b"]}, "x": {"float": [0.0, 1.0]}}
    )
    for value in (evil, "b", evil):
        trial = opened.ask()
        trial.suggest_categorical(evil, [evil, "b"])
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("device", evil)
        opened.tell(trial, 0.5 + len(value) / 1_000)
    made.fail(opened, made.ask(opened, asked, {evil: evil, "x": 0.5}), f"ValueError: {evil}")
    text = html_of(opened)
    assert text.count("<script>alert") == 0
    assert text.count("</script>") == 2
    assert html.escape(evil) in text
    assert figures(text)


@pytest.mark.parametrize("kind", odd_studies())
def test_studies_of_every_kind_have_a_report(kind: str) -> None:
    """Not made by optsearch, empty, failed, infinite, with odd names."""
    study = odd_studies()[kind]()
    text = html_of(study)
    assert headings(text).count("What was asked") == 0
    assert text.count(NASTY) == 0
    assert isinstance(figures(text), dict)


@pytest.mark.soak
def test_ten_thousand_trials_make_no_huge_file() -> None:
    """Besides plotly.js it is less than a megabyte, and says what was left out."""
    study = optuna.create_study(direction="maximize")
    kinds: dict[str, optuna.distributions.BaseDistribution] = {
        f"p{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(8)
    }
    study.add_trials(
        [
            optuna.trial.create_trial(
                value=i % 997 / 997,
                params={n: (i * k) % 1009 / 1009 for k, n in enumerate(kinds, start=1)},
                distributions=kinds,
                intermediate_values={0: 0.1, 1: 0.2},
            )
            for i in range(10_000)
        ]
    )
    text = html_of(study)
    assert sum(len(json.dumps(f)) for f in figures(text).values()) < 1_000_000
    assert "2000 of 10000 trials are drawn: the best and the newest." in text


# In a browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.soak
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_readable_on_a_phone_with_no_network(
    database: str, browser: Any, tmp_path: Path, width: int
) -> None:
    """Every figure is drawn, nothing is wider than the screen, and nothing complains."""
    study = rich()
    file = tmp_path / "report.html"
    file.write_text(html_of(study), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 844}, offline=True)
    page, complaints, asked = context.new_page(), [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    drawn = "document.querySelectorAll('.figure .main-svg:first-child').length"
    page.wait_for_function(f"{drawn} === {len(plots.PLOTS)}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    widest = "Math.max(...[...document.querySelectorAll('.main-svg')].map(s => s.clientWidth))"
    assert page.evaluate(widest) <= width
    cut = """[...document.querySelectorAll('.figure text')].filter(t => {
        const text = t.getBoundingClientRect();
        const box = t.closest('.figure').getBoundingClientRect();
        return text.width && (text.left < box.left - 2 || text.right > box.right + 2);
    }).map(t => t.textContent)"""
    assert page.evaluate(cut) == []
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


# The command


@pytest.mark.soak
def test_the_command_writes_the_file_and_the_dashboards_figures(database: str, cli: Cli) -> None:
    """Its path is what it prints."""
    study = rich()
    answer = cli("report", "--study", "mine", "--storage", made.URL, "--out", "a/b.html")
    assert (answer.code, answer.out, answer.err) == (0, "a/b.html\n", "")
    assert Path("a/b.html").read_text().startswith("<!DOCTYPE html>")
    stored = study._storage.get_study_system_attrs(study._study_id)
    assert any("optsearch-history" in key for key in stored)


def test_a_study_of_others_is_reported_and_left_as_it_is(database: str, cli: Cli) -> None:
    """Nothing is written to a database that is not ours."""
    study = optuna.create_study(study_name="theirs", storage=made.URL)
    for value in (1.0, 2.0):
        study.tell(study.ask(), value)
    assert cli("report", "--study", "theirs", "--storage", made.URL).code == 0
    assert "Trial 0, value 1.0000 with one seed" in Path("report.html").read_text()
    assert not [k for k in study._storage.get_study_system_attrs(study._study_id) if "plot" in k]


@pytest.mark.soak
def test_pictures_go_into_a_folder(database: str, cli: Cli) -> None:
    """A file per figure; without a browser the next step is told, with code 8."""
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine")
    rich()
    answer = cli("report", "--study", "mine", "--storage", made.URL, "--format", "svg")
    assert answer.code == 0
    assert {f.stem for f in Path("report").glob("*.svg")} == set(plots.PLOTS)


def test_bad_input_ends_with_one_line_and_its_own_code(
    database: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such study, no such format, several objectives, a place that cannot be written."""
    rich()
    optuna.create_study(study_name="two", storage=made.URL, directions=["minimize", "minimize"])
    Path("full").write_text("")
    monkeypatch.setenv("BROWSER_PATH", "/nowhere")
    for arguments, code, told in (
        (("--study", "none"), 6, "studies there: mine"),
        (("--study", "two"), 2, "several objectives"),
        (("--study", "mine", "--out", "full/a.html"), 8, "--out full/a.html: cannot be written"),
        (("--study", "mine", "--format", "png", "--out", "full"), 8, "--out full"),
        (("--study", "mine", "--format", "png"), 8, "plotly_get_chrome"),
    ):
        answer = cli("report", *arguments, "--storage", made.URL)
        assert answer.code == code
        assert told in answer.err
        assert len(answer.err.strip().splitlines()) == 1
    assert cli("report", "--study", "mine", "--format", "gif").code == 2


def test_a_race_that_is_not_over_is_told_so(database: str) -> None:
    """The search's best stands; nothing is called confirmed."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8)])
    confirm.begin(opened, asked, asked.confirmation)
    assert "with one seed" in sentences.answer(opened)[1]
    assert html_of(studies.load_study("mine", made.URL))


def test_a_running_study_can_be_reported(database: str) -> None:
    """Trials that have not ended are no obstacle."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8)])
    made.ask(opened, asked, SGD).report(0.3, 0)
    opened.enqueue_trial(SGD)
    assert opened.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))
    assert "Compared by optimizer" not in headings(html_of(opened))


def test_an_audit_of_the_pruner_is_told(database: str) -> None:
    """One line, here and in the comparison; none where nothing was audited."""
    opened, asked = made.opened()
    made.search(opened, asked, [(SGD, 0.8)])
    made.prune(opened, made.ask(opened, asked, SGD), 0.1)
    assert html_of(opened).count("udit:") == 0
    trial = made.ask(opened, asked, SGD)
    trial.set_user_attr(chains.AUDIT, {"epoch": 1})
    made.end(opened, trial, 0.9)
    told = "of 2 prune decisions 1 were audited, and 1 of these ended among the 5 best"
    assert html_of(opened).count(told) == 1
    assert any(told in line for line in compare.compare([opened]).audits)
