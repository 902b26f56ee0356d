"""The best configuration as YAML that a person can read and a program can run."""

import contextlib
import math
import os
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from search import objective
from search.answers import candidates, compare, confirm, evidence, leads, words
from search.errors import OutputError, SpecError
from search.record import chains, next_step, results
from search.studyfile import commands, yaml_lines
from search.studyfile.spec import StudySpec

WIDTH = 100


def check_writable(out: Path, option: str = "--out") -> None:
    """Raise OutputError now rather than after hours of training."""
    try:
        if out.exists() and not out.is_file():
            raise FileExistsError("it is no regular file")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
        if out.exists():
            with out.open("ab"):
                pass
    except OSError as error:
        raise OutputError(
            f"{option} {out}: cannot be written: {error.strerror or error}; name another one"
        ) from error


def study_in(out: Path) -> str | None:
    """The study whose answer a file holds; None where it is none of ours."""
    try:
        read, _ = yaml_lines.load(out.read_text(encoding="utf-8"), str(out))
    except (OSError, UnicodeDecodeError, SpecError):
        return None
    return str(read["study"]) if isinstance(read, dict) and "study" in read else None


def paths(out: Path, top: int) -> list[Path]:
    """`best.yaml`, then `best.2.yaml`, `best.3.yaml`: the first is always the best."""
    return [out, *(out.with_suffix(f".{rank}{out.suffix}") for rank in range(2, top + 1))]


def identity(trial: FrozenTrial) -> dict[str, Any]:
    """What tells a trial's configuration from others: `params`, and its name if it has one."""
    return {"params": trial.params, "configuration": trial.user_attrs.get("configuration")}


def document(
    study: optuna.Study,
    spec: StudySpec,
    trial: FrozenTrial,
    resolved: dict[str, Any],
    out: Path = Path("best.yaml"),
) -> str:
    """One configuration with its evidence.

    Args:
        out: the file that it is for.
        resolved: what the objective's `resolve` returned; {} writes the settings as they are.
    """
    attrs, stored = trial.user_attrs, study.user_attrs
    known = evidence.of(study)
    content = {
        "study": study.study_name,
        "objective": spec.objective,
        "folder": spec.folder if is_theirs(spec) else None,
        "trial": trial.number,
        "score": {results.metric(study): trial.value, "direction": spec.direction}
        | {k: attrs[k] for k in ("best_epoch", "stop_epoch", "reason") if k in attrs},
        "confirmed": confirm.as_dict(known, trial.number) if known else {},
        "ranking": ranking(study),
        "params": trial.params,
        "config": resolved or spec.settings_for(attrs.get("configuration")),
        "seed": attrs.get("seed"),
        "device": attrs.get("device"),
        "threads": attrs.get("threads"),
        "data": stored.get("data"),
        "code": stored.get("code"),
        "versions": stored.get("versions"),
    }
    return _heading(study, trial, known, out) + _sections(
        {k: v for k, v in content.items() if v not in (None, {}, [])}
    )


def is_theirs(spec: StudySpec) -> bool:
    """Whether the objective is the user's own, which is found in its folder alone."""
    return "./" in spec.objective or Path(spec.folder, objective.file(spec.objective)).is_file()


def ranking(study: optuna.Study) -> list[dict[str, Any]]:
    """What the study asks for, answered: its values in order; [] where it asks for none."""
    if candidates.asked_by(study) is None or not results.ranking(study):
        return []
    found = compare.compare([study])
    return [
        {
            found.by: row.value,
            found.metric: row.score.as_dict() if row.score else None,
            "verdict": row.verdict,
            "trial": row.number,
            "configurations": row.configurations,
            "epochs": row.epochs_spent,
        }
        for row in found.rows
    ]


def _heading(
    study: optuna.Study, trial: FrozenTrial, known: evidence.Evidence | None, out: Path
) -> str:
    again = next_step.of(study, "confirm")
    begun = chains.started(study.get_trials(deepcopy=False))
    metric, value = results.metric(study), f"{trial.value:.5g}"
    pruned = trial.state == TrialState.PRUNED
    early = "when it was pruned" if chains.reason_of(trial) else "when it paused"
    when = early if pruned else "with the search's one seed"
    told = [
        study.user_attrs.get("spec", {}).get("question") or "",
        f"Trial {trial.number} of study '{study.study_name}' after {begun} trials: "
        f"{metric} {value} {when}.",
        *leads.of_study(study),
        *_answer(study),
        words.of_majority(metric, study.user_attrs.get("data", {})),
        *(words.of_evidence(known, begun, again) if known else ["Not confirmed with fresh seeds."]),
        f"Train it again:  {commands.line('train', commands.file(out.name))}",
    ]
    lines = [line for text in told if text for line in _wrapped(text)]
    return "".join(f"# {line}\n" for line in lines)


def _wrapped(text: str) -> list[str]:
    """As lines that fit; whole where a command is in it, as it is to be pasted."""
    return [text] if commands.join([]) in text else textwrap.wrap(text, WIDTH - 2)


def _answer(study: optuna.Study) -> list[str]:
    """What may be concluded about what the study asks for."""
    return [f"{line}." for line in compare.compare([study]).sentences] if ranking(study) else []


_NOTES = {
    "confirmed": "means over fresh seeds with 95 % intervals; optimism: of the search's best score",
    "ranking": "the answer to the question: each value by its best configuration",
    "params": "chosen by the search",
    "config": "what was trained: settings, parameters and every default",
    "data": "the fingerprint covers pixels and labels",
}


def _sections(content: dict[str, Any]) -> str:
    text = ""
    for key, value in content.items():
        note = f"\n# {_NOTES[key]}\n" if key in _NOTES else ""
        text += note + yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, width=WIDTH)
    return text


class _Dumper(yaml.SafeDumper):
    """Short lists on one line; floats that YAML 1.1 readers take for numbers, too (1.0e-4)."""


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = {math.inf: ".inf", -math.inf: "-.inf"}.get(value, repr(value).replace("nan", ".nan"))
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _float)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    """In quotes where YAML 1.2 reads a number that PyYAML, of 1.1, takes for a text, as 0E0."""
    quotes = "'" if yaml_lines.is_number(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=quotes)


_Dumper.add_representer(str, _text)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    """A few values on one line; rows of a table below each other."""
    is_table = any(isinstance(item, dict) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=not is_table)


_Dumper.add_representer(list, _list)


def write(out: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"--out {out}: cannot be written: {error.strerror or error}") from error
