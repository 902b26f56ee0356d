"""kept.py: the folder of the winner's model, whole or not at all, and only over one of ours."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.answers import classes, evidence, held, kept, report, seeds
from search.errors import OutputError, UsageError
from search.record import chains, results
from search.record import study as studies
from tests.search import made

OUT = Path("best.yaml")


@pytest.fixture
def confirmed(folder: Path, database: str) -> tuple[Any, Any, Any]:
    """A study with a winner, whose runs have left a folder each; its spec, its winner."""
    study, spec = made.opened()
    tried = [({"optimizer": o, "lr": 0.1, "batch_size": 32}, 0.9) for o in ("sgd", "adam")]
    made.search(study, spec, tried)
    runs = made.confirm_best(study, spec, made.noisy({"sgd": 0.9, "adam": 0.7}), top=2)
    for run in runs.get_trials():
        place = studies.folder(runs, "work") / str(chains.of(run))
        place.mkdir(parents=True)
        (place / "weights").write_text(str(run.user_attrs["seed"]))
    OUT.write_text("study: mine\n")
    return study, spec, results.ranking(study)[0]


def save(workdir: Path, out: Path) -> list[str]:
    (out / "model").write_bytes((workdir / "weights").read_bytes())
    return ["model"]


def keep(
    confirmed: tuple[Any, Any, Any],
    save: Callable[..., Any] = save,
    work: str = "work",
    matrix: kept.Matrix | None = None,
    *,
    saves: bool = True,
    gain: Callable[..., Any] = lambda folders: None,
):
    study, spec, best = confirmed
    asked = kept.Asked(save, lambda folder: matrix, saves, gain)
    return kept.keep(study, spec, best, OUT, Path(work), asked)


def test_the_winner_s_best_seed_is_kept(confirmed) -> None:
    """With the answer, the card, and a manifest of its scores and the digest of each file."""
    told = keep(confirmed)
    winner = evidence.of(confirmed[0]).winner
    seed, score = max(winner.scores.items(), key=lambda one: one[1])
    assert Path("best/model").read_text() == str(seed)
    assert told == f"best/: the model of trial {winner.number}, of its best seed {seed}"
    about = json.loads(Path("best/manifest.json").read_text())
    tested = pytest.approx(score - 0.1)
    assert about["scores"] == {"val_accuracy": score, "test_accuracy": tested}
    assert sorted(p.name for p in Path("best").iterdir()) == sorted(
        ["README.md", "best.yaml", "manifest.json", "model", "seeds"]
    )
    assert held.check(Path("best")).objective == "./mine.py:objective"
    assert "## Scores" in Path("best/README.md").read_text()


def test_the_models_of_the_other_seeds_are_kept_with_what_their_mean_gains(
    confirmed, monkeypatch
) -> None:
    """The best first; each with its digest, which is looked at where they are used."""
    winner = evidence.of(confirmed[0]).winner
    ordered = sorted(winner.scores, key=lambda seed: -winner.scores[seed])

    def gain(folders: list[Path]) -> list[dict[str, float]]:
        assert [(one / "weights").read_text() for one in folders] == list(map(str, ordered))
        scores = [winner.scores[seed] for seed in ordered]
        return [{"accuracy": one, "n": 50} for one in [*scores, 0.97]]

    monkeypatch.setattr(seeds, "LARGE", 1)  # else of some hundred megabytes alone
    told = keep(confirmed, gain=gain)
    best, mean = winner.scores[ordered[0]], sum(winner.scores.values()) / len(ordered)
    assert told.startswith(f"best/: the model of trial {winner.number}, of its best seed")
    (gained,) = kept.gained(Path("best"))
    assert f"the mean of {len(ordered)} models, seeds {', '.join(map(str, ordered))}" in gained
    assert f"val_accuracy 0.9700 on 50 validation images; one model has {mean:.4f}" in gained
    assert f"the best {best:.4f} ({0.97 - best:+.4f})" in gained
    assert gained[1:] in Path("best/README.md").read_text()
    size = "seeds/ takes 0.0 MB for the models of the other seeds, and may be removed"
    assert size in told
    assert size in Path("best/README.md").read_text()
    for seed in ordered[1:]:
        assert Path(f"best/seeds/{seed}/model").read_text() == str(seed)
    assert not Path(f"best/seeds/{ordered[0]}").exists()
    Path(f"best/seeds/{ordered[1]}/model").write_text("altered")
    assert held.check(Path("best")).objective == "./mine.py:objective"
    with pytest.raises(UsageError, match=f"seeds/{ordered[1]}/model: was altered"):
        held.check(Path("best"), ensemble=True)
    shutil.rmtree("best/seeds")
    assert held.check(Path("best")).objective == "./mine.py:objective"


def test_a_gain_that_nobody_can_tell_is_not_told(confirmed) -> None:
    """The models are there all the same; of one model there is no mean."""
    keep(confirmed)
    (told,) = kept.gained(Path("best"))
    assert "what it gains is not known, as they have no validation images in common" in told
    manifest = json.loads(Path("best/manifest.json").read_text())
    del manifest["ensemble"]
    Path("best/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"^best: holds no models of several seeds; a run that"):
        held.check(Path("best"), ensemble=True)


def test_what_it_makes_of_each_class_is_kept(confirmed) -> None:
    """In its folder, in the card, and in the study for its report; of the last winner alone."""

    def named(workdir: Path, out: Path) -> list[str]:
        (out / "model.json").write_text('{"classes": ["cat", "dog|fox"]}')
        return ["model.json"]

    keep(confirmed, named, matrix=[[8, 2], [1, 9]])
    assert Path("best/classes.csv").read_text().splitlines()[1].startswith("cat,10,0.888")
    assert "classes.csv" in json.loads(Path("best/manifest.json").read_text())["files"]
    assert "| dog\\|fox | 10 | 0.8182 | 0.9000 | 0.8571 |" in Path("best/README.md").read_text()
    study, _, best = confirmed
    html = report.html(study, {})
    assert "<h2>The winner by class</h2>" in html
    assert "<td>cat</td>" in html
    assert "on 20 test images" in html
    assert classes.kept(study, best.number)[1][1]["recall"] == 0.9
    assert classes.kept(study, best.number + 1) == (0, [])


def test_a_new_answer_replaces_a_folder_of_ours_alone(confirmed) -> None:
    """What is somebody else's stays, and that is told."""
    keep(confirmed)
    Path("best/old").write_text("of before")
    keep(confirmed)
    assert not Path("best/old").exists()
    Path("best/manifest.json").unlink()
    told = keep(confirmed)
    assert told.startswith("no model is written to best/: what is there is not of optsearch")
    assert Path("best/model").exists()


@pytest.mark.parametrize("broken", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_there_is_never_half_a_folder(confirmed, broken) -> None:
    """The one of before stays whole; nothing is left beside it."""
    keep(confirmed)
    before = {p: p.read_bytes() for p in Path("best").rglob("*") if p.is_file()}

    def breaks(workdir: Path, out: Path) -> list[str]:
        save(workdir, out)
        raise broken

    with pytest.raises((OutputError, KeyboardInterrupt)):
        keep(confirmed, breaks)
    assert {p: p.read_bytes() for p in Path("best").rglob("*") if p.is_file()} == before
    assert not list(Path().glob(".best.*"))


def test_where_no_model_can_be_had_a_line_says_so(confirmed, folder: Path) -> None:
    """On another machine, without `save`, unconfirmed; and of whom the old folder is."""
    told = keep(confirmed, work="elsewhere")
    assert "left none in elsewhere of this machine; optsearch train best.yaml --seed" in told
    assert "offers no `save`" in keep(confirmed, work="elsewhere", saves=False)
    assert "`save` of ./mine.py:objective wrote none" in keep(confirmed, lambda workdir, out: [])
    assert not Path("best").exists()
    keep(confirmed)
    assert f"(there is that of trial {confirmed[2].number} of mine)" in keep(confirmed, work="no")
    study, spec = made.opened("other")
    made.search(study, spec, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 32}, 0.9)])
    assert "not confirmed" in keep((study, spec, results.ranking(study)[0]))
    assert not list(Path().glob(".best.*"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: file.unlink(), "best/model: is missing"),
        (lambda file: file.write_text("other"), "best/model: was altered"),
    ],
)
def test_a_piece_that_is_missing_or_altered_is_named(confirmed, spoil, told: str) -> None:
    """Before anything is loaded. The card is for people, and may be edited."""
    keep(confirmed)
    Path("best/README.md").write_text("mine")
    held.check(Path("best"))
    spoil(Path("best/model"))
    with pytest.raises(UsageError, match=told):
        held.check(Path("best"))
    with pytest.raises(UsageError, match="holds no model"):
        held.check(Path("work"))


def test_a_file_without_an_ending_keeps_its_name() -> None:
    """A folder cannot be called as the file beside it."""
    assert kept.place(Path("a/best.yaml")) == Path("a/best")
    assert kept.place(Path("a/best")) == Path("a/best.model")
