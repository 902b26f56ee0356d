"""Study files that optsearch writes: what fits some data, or asks about a user's own objective."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from search.studyfile import commands

WIDTH = 100  # columns, beyond which a comment stands above its line


def objective(function: str) -> str:
    """The code of an objective to begin with, `studies/mine.py`, under that name."""
    file = resources.files("studies") / "mine.py"
    return file.read_text(encoding="utf-8").replace("objective", function, 1)


def name_of(data: str) -> str:
    """What a study about some data is called: `photos` of `photos/` and of `folder:photos`."""
    path = data.partition(":")[2] or data
    name = Path(path).stem or Path(path).resolve().name
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "mine"


def of_data(name: str, proposed: Mapping[str, Any], command: str) -> str:
    """A study file with the reasons as comments.

    Args:
        proposed: what the companion `propose` has returned (objectives/proposal.py).
        command: what wrote it.
    """
    settings, why = proposed["settings"], proposed["why"]
    network = settings["network"]
    lines = [
        f"# Which optimizer, learning rate and batch size train {network} best on {name}?",
        f"#   {commands.line('run', study=f'./{name}.yaml')}",
        f"# Written by `{command}`; whatever stands here may be changed.",
        "objective: objectives.cnn:objective",
        "direction: maximize",
        "seed: 0",
        "settings:",
    ]
    for key, value in settings.items():
        lines += _line(f"  {key}: {_flow(value)}", why.get(key))
    lines += _line("space:", why.get("space"))
    lines += [f"  {key}: {_flow(value)}" for key, value in proposed["space"].items()]
    lines += ["baselines:   # tried first"]
    for baseline in proposed["baselines"]:
        lines += [f"  - name: {baseline['name']}", f"    params: {_flow(baseline['params'])}"]
    lines += [
        "by: optimizer   # each of them is tuned and answered for",
        "strategy: {name: freeze_thaw}   # many begin, the promising ones go on",
    ]
    lines += _line(f"budget: {_flow(proposed['budget'])}", why.get("budget"))
    return "\n".join(lines) + "\n"


def of_objective(reference: str, study: str, trials: int) -> str:
    """A study file about an objective of one's own: `./mine.py:objective`."""
    return (
        f"# Which parameters make the most of {reference}?\n"
        f"#   {commands.line('run', study=study)}\n"
        f"objective: {reference}\n"
        "direction: maximize   # minimize where it returns a loss\n"
        f"budget: {{trials: {trials}}}   # or epochs, or hours; docs/study-files.md has more\n"
    )


def _line(text: str, why: str | None) -> list[str]:
    """A line with its reason behind it, or above it where that would be too long."""
    if not why:
        return [text]
    if len(text) + len(why) + 5 <= WIDTH:
        return [f"{text}   # {why}"]
    indent = " " * (len(text) - len(text.lstrip()))
    return [*_wrapped(why, f"{indent}# "), text]


def _wrapped(text: str, prefix: str) -> list[str]:
    lines = [prefix]
    for word in text.split():
        if len(lines[-1]) + len(word) > WIDTH and lines[-1] != prefix:
            lines.append(prefix)
        lines[-1] += f"{word} "
    return [line.rstrip() for line in lines]


def _flow(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_.][\w./:-]*[\w/]", value)
        return value if plain and yaml.safe_load(value) == value else json.dumps(value)
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
