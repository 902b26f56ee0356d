"""What the tests of commands share: the study that they run, and what is stored of it."""

import contextlib
import sqlite3
from pathlib import Path

import optuna

DATABASE = Path("runs/optsearch.db")
RUN = ("run", "--study", "./mine.yaml", "--workers", 1)


def studies_in(database: Path) -> list[str]:
    """What is in a database, asked of SQLite itself; [] where there is none yet."""
    if not database.exists():
        return []
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(database) as connection:
        return [row[0] for row in connection.execute("SELECT study_name FROM studies")]
    return []  # it is being made


def stored(name: str = "mine") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{DATABASE}")
