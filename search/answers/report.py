"""A study as one HTML file that a person can send to a colleague: everything is in it.

SECTIONS is the order; each is a function that returns HTML, "" where it has nothing to show.
"""

import json
import string
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.offline  # type: ignore[import-untyped]
import yaml
from optuna.trial import TrialState

from search.answers import (
    advisor,
    classes,
    columns,
    compare,
    confirm,
    evidence,
    groups,
    markup,
    published,
    sentences,
    steps,
)
from search.record import by_hand, chains, next_step, results
from search.record import study as studies
from search.record.progress import duration, params_words
from search.strategy import audit
from search.studyfile import commands

TEMPLATE = Path(__file__).with_name("report.html")
PRIVATE = ("data_dir",)  # settings that tell about the machine


class Drawn(NamedTuple):
    """A figure of the report: `about` says how it is to be read; where it could not be drawn,
    `figure` is None, and `about` says why."""

    title: str
    about: str
    figure: go.Figure | None


Figures = Mapping[str, Drawn]


def html(study: optuna.Study, drawn: Figures) -> str:
    """The whole report.

    Args:
        drawn: the figures that there are, by name (`plots.drawn`).
    """
    body = "\n".join(filter(None, (section(study, drawn) for section in SECTIONS)))
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{study.study_name}: optsearch"),
        body=body,
        plotly=plotly.offline.get_plotlyjs(),
        figures=markup.script(
            {k: json.loads(one.figure.to_json()) for k, one in drawn.items() if one.figure}
        ),
    )


def _plot(drawn: Figures, name: str) -> str:
    """The place of a figure, with how it is to be read; "" where there is none."""
    if name not in drawn:
        return ""
    _, about, figure = drawn[name]
    if figure is None:
        return markup.paragraph(about, "about")
    note = " ".join(filter(None, (about, figure.layout.meta["note"])))
    height = f'style="height:{figure.layout.height}px"'
    place = f'<div class="figure" id="figure-{name}" {height}></div>'
    return place + markup.paragraph(note, "about")


def _drawn(name: str) -> "Section":
    """A section that is one figure."""
    return lambda _, drawn: markup.section(
        drawn[name].title if name in drawn else "", _plot(drawn, name), kind="drawn"
    )


# Sections

Section = Callable[[optuna.Study, Figures], str]


def _heading(study: optuna.Study, _: Figures) -> str:
    trials = study.get_trials(deepcopy=False)
    begun = [t.datetime_start for t in trials if t.datetime_start]
    ended = [t.datetime_complete for t in trials if t.datetime_complete]
    days = f", {min(begun):%d %B %Y}" if begun else ""
    if begun and ended and max(ended).date() != min(begun).date():
        days += f" to {max(ended):%d %B %Y}"
    question = study.user_attrs.get("spec", {}).get("question")
    counted = f"{chains.started(trials)} trials{days}"
    title = f"<h1>{escape(question or study.study_name)}</h1>"
    return title + markup.paragraph(f"Study {study.study_name}, {counted}", "soft")


def _answer(study: optuna.Study, _: Figures) -> str:
    lines = "".join(markup.paragraph(line) for line in sentences.answer(study))
    return f'<div class="answer">{lines}</div>'


def _published(study: optuna.Study, _: Figures) -> str:
    """What others reported, beside what was measured here."""
    rows = published.rows(study)
    about = "± is a 95 % interval." if rows else ""
    return markup.section(
        "Published and measured", markup.table(rows), markup.paragraph(about, "about")
    )


def _comparison(study: optuna.Study, _: Figures) -> str:
    """As `optsearch compare` has it."""
    if not results.ranking(study):
        return ""
    found = compare.compare([study])
    if len(found.rows) < 2:
        return ""
    about = f"Each by its best configuration; target is {found.metric} {found.target:.4f}."
    return markup.section(
        f"Compared by {found.by}",
        markup.table(columns.cells(found), kind="tight"),
        markup.paragraph(about, "about"),
        markup.listed([*found.warnings, *found.sentences]),
    )


def _best(study: optuna.Study, drawn: Figures) -> str:
    metric = results.metric(study)
    rows = [
        {
            "trial": str(t.number),
            metric: "-" if t.value is None else f"{t.value:.4f}",
            "epochs": str(results.epochs_run(t)),
            "parameters": params_words(t.params),
        }
        for t in confirm.ranking(study)[:5]
    ]
    about = f"As the search saw them, with one seed each{_order(study, rows)}." if rows else ""
    return markup.section("The best trials", markup.table(rows), markup.paragraph(about, "about"))


def _order(study: optuna.Study, rows: Sequence[Mapping[str, str]]) -> str:
    """Which of the best trials stand where fresh seeds have put them, as a clause."""
    known = evidence.of(study)
    if known is None or known.winner is None:
        return ""
    ordered = {str(c.number) for c in known.candidates if c.state in confirm.RANKED}
    number = sum(row["trial"] in ordered for row in rows)
    if number == 1:
        return f"; trial {known.winner.number} is first as fresh seeds were given to it alone"
    which = "" if number == len(rows) else f"; the first {number}"
    return f"{which or ','} in the order that fresh seeds gave them"


def _classes(study: optuna.Study, _: Figures) -> str:
    """What the winner's model makes of each class."""
    known = evidence.of(study)
    if known is None or known.winner is None:
        return ""
    seed, rows = classes.kept(study, known.winner.number)
    images = sum(row["images"] for row in rows)
    about = f"The model of trial {known.winner.number}, seed {seed}, on {images:,} test images."
    if len(rows) > classes.MOST:
        about += f" The weakest {classes.MOST} of {len(rows)} classes."
    return markup.section(
        "The winner by class",
        markup.table(classes.cells(rows)),
        markup.paragraph(about if rows else "", "about"),
    )


def _pruning(study: optuna.Study, drawn: Figures) -> str:
    """Where the pruner cut, and what it saved."""
    found = audit.audit(study.get_trials(deepcopy=False), study.direction)
    return markup.section(
        "Where trials ended",
        markup.paragraph(steps.saved(study)),
        markup.paragraph(found.words.capitalize() if found and found.drawn else ""),
        _plot(drawn, "endings"),
        kind="drawn",
    )


def _steps(study: optuna.Study, _: Figures) -> str:
    """Why trials paused, went on or were ended, where epochs are granted step by step."""
    rows, more = steps.rows(study), steps.more(study)
    return markup.section(
        "Why trials paused or went on", markup.table(rows), markup.paragraph(more)
    )


def _failures(study: optuna.Study, _: Figures) -> str:
    """Trials without a score, by reason."""
    good = ("all_epochs", "plateau", "hopeless", by_hand.REASON)
    found: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for trial in groups.last_links(study):
        reason = chains.reason_of(trial)
        if trial.state.is_finished() and trial.state != TrialState.COMPLETE and reason not in good:
            found.setdefault(reason or trial.state.name.lower(), []).append(trial)
    rows = [
        {
            "reason": reason,
            "trials": str(len(trials)),
            "such as": ", ".join(str(t.number) for t in trials[:5]),
            "said": next((e for t in trials if (e := results.error_line(t))), "-"),
        }
        for reason, trials in found.items()
    ]
    return markup.section("What failed", markup.table(rows))


def _advice(study: optuna.Study, _: Figures) -> str:
    return markup.section("What to do next", markup.listed(advisor.advise(study)))


def _setup(study: optuna.Study, _: Figures) -> str:
    """What was searched, as the study file has it."""
    spec = studies.stored_spec(study)
    if spec is None:
        return ""
    asked = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    asked["settings"] = {k: v for k, v in spec.settings.items() if k not in PRIVATE}
    how = ("strategy", "by") if spec.is_stepwise else ("sampler", "pruner")
    kept = ("objective", "direction", "seed", "settings", "space", *how, "budget")
    shown = {k: asked[k] for k in kept if asked.get(k)}
    return markup.section(
        "What was asked",
        markup.commands(yaml.safe_dump(shown, sort_keys=False, default_flow_style=None, width=88)),
    )


def _environment(study: optuna.Study, _: Figures) -> str:
    """Versions, hardware, and fingerprints of data and code."""
    attrs, trials = study.user_attrs, study.get_trials(deepcopy=False)
    devices = dict.fromkeys(t.user_attrs["device"] for t in trials if "device" in t.user_attrs)
    data = attrs.get("data", {})
    took = sum(results.seconds(t) or 0.0 for t in trials)
    told = {
        "versions": ", ".join(f"{k} {v}" for k, v in attrs.get("versions", {}).items()),
        "hardware": ", ".join(map(str, devices)),
        "data": ", ".join(f"{k} {v}" for k, v in data.items() if not isinstance(v, dict | list)),
        "code": attrs.get("code", ""),
        "training time": duration(took) if took else "",
    }
    rows = [{"": k, "what": str(v)} for k, v in told.items() if v]
    noticed = markup.listed(data.get("notes", ()))
    return markup.section("Where it comes from", markup.table(rows, kind="bare"), noticed)


def _replay(study: optuna.Study, _: Figures) -> str:
    if "spec" not in study.user_attrs or not results.ranking(study):
        return ""
    lines = next_step.of(study, "export"), commands.line("train", "best.yaml")
    return markup.section("To replay it", markup.commands(*lines))


SECTIONS: tuple[Section, ...] = (
    _heading,
    _answer,
    _drawn("confirmed"),
    _published,
    _comparison,
    _best,
    _classes,
    _advice,
    _drawn("curves"),
    _drawn("best"),
    _drawn("lr"),
    _drawn("history"),
    _drawn("importance"),
    _drawn("slices"),
    _drawn("parallel"),
    _drawn("times"),
    _pruning,
    _steps,
    _failures,
    _setup,
    _environment,
    _replay,
)
