"""Where a run from Python writes."""

import tempfile
from pathlib import Path

import pytest

from search.api import places
from search.errors import SpecError
from search.record import study as studies
from search.studyfile import reading


@pytest.fixture(autouse=True)
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    (folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    return folder / "tmp"


def test_a_temporary_folder_is_the_runs_own(temporary: Path) -> None:
    """It stays, as a killed run is resumed from it."""
    with places.of(None, None, None, keep=True) as first:
        pass
    with places.of(" ", None, "best.yaml", keep=True) as second:
        pass
    here = [Path(where.storage.removeprefix("sqlite:///")).parent for where in (first, second)]
    assert sorted(here) == sorted(temporary.iterdir())
    assert first.workdir == here[0] / "work"
    assert (first.out, second.out) == (None, Path("best.yaml"))


def test_files_lie_beside_a_database_that_is_named(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command's default, where the command would put them."""
    for keep in (True, False):
        with places.of("sqlite:///runs/optsearch.db", None, None, keep=keep) as where:
            assert where == ("sqlite:///runs/optsearch.db", Path("runs/work"), None)
    with places.of("sqlite:///runs/optsearch.db", "else", None, keep=True) as where:
        assert where.workdir == Path("else")
    monkeypatch.setenv("OPTSEARCH_STORAGE", "postgresql://me@db/all")
    with places.of(None, "else", None, keep=True) as where:
        assert where[:2] == ("postgresql://me@db/all", Path("else"))
    assert list(temporary.iterdir()) == []
    with places.of(None, None, None, keep=True) as where:
        assert where.workdir.parent.parent == temporary


def test_nothing_stays_of_what_never_began(temporary: Path) -> None:
    """Nor of a dry run; of a run that failed halfway all does."""
    with places.of(None, None, None, keep=False) as where:
        where.workdir.mkdir()
    assert list(temporary.iterdir()) == []
    with pytest.raises(SpecError), places.of(None, None, None, keep=True):
        reading.load("./mine.yaml", ["budget.trials=0"])
    assert list(temporary.iterdir()) == []

    def fail_halfway() -> None:
        with places.of(None, None, None, keep=True) as where:
            studies.open_study(reading.load("./mine.yaml").spec, where.storage, {})
            reading.load("./mine.yaml", ["budget.trials=0"])

    with pytest.raises(SpecError):
        fail_halfway()
    assert len(list(temporary.iterdir())) == 1
