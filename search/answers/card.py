"""The model card: what a model is, for whoever finds its folder, in Markdown."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.answers import classes, evidence, seeds, words
from search.record import results
from search.studyfile import commands

TITLE = "# {study}: the model of trial {trial}\n"
USE = """\
## Use

```python
from optsearch import load_model

model = load_model("{folder}")
print(model.predict(["a.jpg"]))
```

`{typed}` does the same for files and folders. The weights are
safetensors: nothing is unpickled. `model.json` names the classes, every knob of the training, and
all that becomes of a picture before the network sees it.
"""


def text(study: optuna.Study, best: FrozenTrial, about: Mapping[str, Any], folder: str) -> str:
    """The whole card.

    Args:
        about: what the manifest holds.
        folder: what the model's folder is called.
    """
    typed = commands.line("predict", commands.file(folder), "a.jpg")
    parts = [TITLE.format_map(about), _origin(study), _scores(about), _classes(study, about)]
    parts += [_training(study, best), _ensemble(about)]
    return "\n".join([*parts, USE.format(folder=folder, typed=typed)])


def _origin(study: optuna.Study) -> str:
    data, known = study.user_attrs.get("data", {}), evidence.of(study)
    counts = [
        f"{data[key]:,} {name}"
        for key, name in (("n_train", "training"), ("n_validation", "validation"))
        if key in data
    ]
    lines = [
        study.user_attrs.get("spec", {}).get("question") or "",
        f"Data: {data['name']}, {' and '.join(counts)} images." if "name" in data else "",
        f"Found among {known.plan.trials} trials." if known else "",
        words.of_majority(results.metric(study), data),
        *(words.of_useless(known, known.winner, data) if known and known.winner else []),
    ]
    return "\n".join(filter(None, lines)) + "\n"


def _scores(about: Mapping[str, Any]) -> str:
    """This model's own score, and its configuration's over seeds: the honest promise."""
    rows = ["## Scores\n", "| score | this model | over fresh seeds, 95 % interval | seeds |"]
    rows.append("|---|---|---|---|")
    for name, one in about["over_seeds"].items():
        own = about["scores"].get(name)
        bounds = f" ({one['low']:.4f} to {one['high']:.4f})" if "low" in one else ""
        shown = "-" if own is None else f"{own:.4f}"
        rows.append(f"| {name} | {shown} | {one['mean']:.4f}{bounds} | {one['n']} |")
    rows.append(
        "\nOf the seeds that confirmed the configuration this one scored best on validation: expect"
        " of new images what the interval of the test score says, not this model's own score.\n"
    )
    return "\n".join(rows)


def _classes(study: optuna.Study, about: Mapping[str, Any]) -> str:
    """What it makes of each class of the test images."""
    _, rows = classes.kept(study, about["trial"])
    if not rows:
        return ""
    lines = ["## By class\n", f"| {' | '.join(classes.COLUMNS)} |", "|---|---|---|---|---|"]
    cells = ([one.replace("|", r"\|") for one in row.values()] for row in classes.cells(rows))
    lines += [f"| {' | '.join(row)} |" for row in cells]
    few = f", the weakest {classes.MOST} of {len(rows)}" * (len(rows) > classes.MOST)
    return "\n".join([*lines, f"\nOf the test images{few}; `{classes.FILE}` has all of them.\n"])


def _ensemble(about: Mapping[str, Any]) -> str:
    """What the models of all seeds are worth together."""
    if "ensemble" not in about:
        return ""
    told = seeds.gained(about["ensemble"])
    how = "`--ensemble` of `predict` uses it, `load_model(..., ensemble=True)` in Python"
    return (
        f"## All seeds together\n\n{told[:1].upper()}{told[1:]}. {how}. "
        f"{seeds.size(about['ensemble'])}.\n"
    )


def _training(study: optuna.Study, best: FrozenTrial) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in best.params.items())
    versions = ", ".join(f"{k} {v}" for k, v in study.user_attrs.get("versions", {}).items())
    told = f"Chosen by the search: {chosen}." if chosen else ""
    lines = ["## Training\n", told, f"Versions: {versions}." if versions else ""]
    return "\n".join(filter(None, lines)) + "\n"
