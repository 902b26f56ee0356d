"""The folder of the winner's model, beside `best.yaml`: made whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial

from search.answers import card, classes, evidence, export, seeds
from search.answers.held import FORMAT, MANIFEST, digest, manifest
from search.errors import OutputError
from search.studyfile import commands
from search.studyfile.spec import StudySpec

CARD = "README.md"
Matrix = Sequence[Sequence[int]]


class Asked(NamedTuple):
    """The objective's companions, in a worker process, about the folder of a trial, or of several.

    What an objective does not offer gives None.
    """

    save: Callable[[Path, Path], Sequence[str] | None]  # (folder, where to) -> files
    confusion: Callable[[Path], Matrix | None]  # of the test images
    saves: bool = True  # whether there is a `save`
    gain: Callable[[Sequence[Path]], seeds.Gain | None] = lambda folders: None


class Source(NamedTuple):
    """The run whose model is taken: of the winner's, the one that scored best on validation."""

    number: int  # of the winner, a trial of the search
    seed: int
    score: float
    tested: float | None  # its own test score, as `evaluate` gave it
    workdir: Path  # where it kept its model, on the machine that trained it


def place(out: Path) -> Path:
    """`best/` for `best.yaml`."""
    return out.with_suffix("") if out.suffix else out.with_name(f"{out.name}.model")


def source(study: optuna.Study, workdir: Path) -> Source | None:
    """Whose model is the answer; None where none was confirmed."""
    known, runs = evidence.of(study), seeds.of_winner(study, workdir)
    if not runs or known is None or known.winner is None:
        return None
    best = runs[0]
    tested = known.winner.tests.get(best.seed)
    return Source(known.winner.number, best.seed, best.score, tested, best.workdir)


def keep(
    study: optuna.Study, spec: StudySpec, best: FrozenTrial, out: Path, workdir: Path, asked: Asked
) -> str:
    """Put the model of the confirmed winner into its folder; a line that tells what was done.

    What it makes of each class is kept in the study, too, for its report. A folder that is not ours
    is left as it is. Nothing is trained for it.
    """
    folder, found = place(out), source(study, workdir)
    again = commands.line("train", commands.file(out))
    if not asked.saves:
        return _none(folder, f"{spec.objective} offers no `save`", "docs/own-objective.md has one")
    if found is None:
        return _none(folder, "the answer is not confirmed by fresh seeds", again)
    if folder.exists() and manifest(folder) is None:
        return _none(folder, "what is there is not of optsearch, and stays", "use another --out")
    if not found.workdir.is_dir():
        elsewhere = f"its best seed {found.seed} left none in {workdir} of this machine"
        return _none(folder, elsewhere, f"{again} --seed {found.seed}")
    files = _replaced(folder, found, study, spec, best, out, workdir, asked)
    if files is None:
        return _none(folder, f"`save` of {spec.objective} wrote none", again)
    lines = [f"{folder}/: the model of trial {found.number}, of its best seed {found.seed}"]
    ensemble = (manifest(folder) or {}).get("ensemble")  # what the mean gains its card tells
    lines += [seeds.size(ensemble)] if ensemble and ensemble["bytes"] >= seeds.LARGE else []
    return "; ".join(lines)


def _none(folder: Path, why: str, instead: str) -> str:
    """One line; it tells of a folder that an earlier answer has left, too."""
    held = manifest(folder)
    old = "" if held is None else f" (there is that of trial {held['trial']} of {held['study']})"
    return f"no model is written to {folder}/{old}: {why}; {instead}"


def _replaced(
    folder: Path,
    found: Source,
    study: optuna.Study,
    spec: StudySpec,
    best: FrozenTrial,
    out: Path,
    workdir: Path,
    asked: Asked,
) -> list[str] | None:
    """Make the folder under another name, and give it its own when it is whole."""
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        part.mkdir()
        saved = asked.save(found.workdir, part)
        if not saved:
            return None
        shutil.copyfile(out, part / out.name)
        by_class = _by_class(study, found, part, saved, asked.confusion(found.workdir))
        files = [*saved, out.name, *by_class]
        runs = [run for run in seeds.of_winner(study, workdir) if run.workdir.is_dir()]
        others = seeds.keep(runs[1:], part, asked.save)
        files += others
        about = _about(study, spec, found, part, files)
        taken = sum((part / name).stat().st_size for name in others)
        if ensemble := seeds.about(study, runs, _gain(study, runs, asked), taken):
            about["ensemble"] = ensemble
        (part / CARD).write_text(card.text(study, best, about, folder.name), encoding="utf-8")
        (part / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except OSError as error:
        raise OutputError(
            f"--out {folder}/: the model cannot be written ({error.strerror or error}); "
            "make room or name another one, and repeat the command"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    return files


def _gain(study: optuna.Study, runs: Sequence[seeds.Run], asked: Asked) -> seeds.Gain | None:
    """What their mean gains; None where each was validated on images of its own."""
    known = evidence.of(study)
    if len(runs) < 2 or known is None or known.winner is None or known.winner.splits:
        return None
    return asked.gain([run.workdir for run in runs])


def _by_class(
    study: optuna.Study, found: Source, part: Path, saved: Sequence[str], matrix: Matrix | None
) -> list[str]:
    """Write precision, recall and F1 of each class, and keep them; the names of the files."""
    if not matrix:
        return []
    rows = classes.of(matrix, classes.names(part, saved, matrix))
    (part / classes.FILE).write_bytes(classes.as_csv(rows))
    classes.keep(study, found.number, found.seed, rows)
    return [classes.FILE]


def _about(
    study: optuna.Study, spec: StudySpec, found: Source, folder: Path, files: Sequence[str]
) -> dict[str, Any]:
    """What the manifest holds: whose model it is, its scores, and the digest of each file."""
    known = evidence.of(study)
    winner = known.winner if known else None
    assert known is not None
    assert winner is not None
    scores = {known.metric: winner.interval, known.test_metric: winner.test}
    own = {known.metric: found.score, known.test_metric: found.tested}
    return {
        "format": FORMAT,
        "study": study.study_name,
        "objective": spec.objective,
        "folder": spec.folder if export.is_theirs(spec) else None,
        "trial": found.number,
        "seed": found.seed,
        "scores": {name: value for name, value in own.items() if value is not None},
        "over_seeds": {name: one.as_dict() for name, one in scores.items() if one is not None},
        "files": {name: digest(folder / name) for name in files},
    }


def gained(folder: Path) -> list[str]:
    """What the mean of the models gains, in a line."""
    about = manifest(folder)
    return [seeds.gained(about["ensemble"])] if about and "ensemble" in about else []
