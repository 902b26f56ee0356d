"""Times are UTC until they are printed: the hour that comes twice lasts an hour."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from search.dashboard import views
from search.database import storage
from search.plots import canvas
from search.record import results

OVER = {  # UTC, of the hours in which Berlin leaves summer time, enters it, and of another
    "autumn": ("2026-10-25 00:30:00.000000", "2026-10-25 01:30:00.000000"),
    "spring": ("2026-03-29 00:30:00.000000", "2026-03-29 01:30:00.000000"),
    "summer": ("2026-06-01 00:30:00.000000", "2026-06-01 01:30:00.000000"),
}


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """This process in another time zone."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def study(database: str, spans: list[tuple[str, str]]) -> optuna.Study:
    made = optuna.create_study(study_name="s", storage=storage.open_storage(database))
    for _ in spans:
        made.tell(made.ask(), 1.0)
    engine = storage.database_of(made).engine
    with engine.begin() as connection:
        for number, (start, complete) in enumerate(spans):
            told = "UPDATE trials SET datetime_start=:a, datetime_complete=:b WHERE number=:n"
            connection.execute(sqlalchemy.text(told), {"a": start, "b": complete, "n": number})
    return optuna.load_study(study_name="s", storage=storage.open_storage(database))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_an_hour_is_an_hour_wherever_it_is_read(
    database: str, in_zone: Callable[[str], None], zone: str
) -> None:
    """Optuna's own duration is none, or two, in Berlin."""
    in_zone(zone)
    made = study(database, list(OVER.values()))
    assert [results.seconds(trial) for trial in made.trials] == [3600.0] * 3
    for name, trial in zip(OVER, made.trials, strict=True):
        shown = views.with_curve(trial)
        assert shown.datetime_complete is not None
        told = datetime.fromisoformat(OVER[name][1]).replace(tzinfo=UTC)
        assert datetime.fromisoformat(shown.datetime_complete.isoformat()) == told


def test_trials_are_in_the_order_of_their_ends(
    database: str, in_zone: Callable[[str], None], folder: Path
) -> None:
    """Though the clock on the wall goes back between them."""
    in_zone("Europe/Berlin")
    spans = [("2026-10-25 00:00:00.000000", f"2026-10-25 0{h}:10:00.000000") for h in (1, 0)]
    assert [trial.number for trial in canvas.ended(study(database, spans))] == [1, 0]
