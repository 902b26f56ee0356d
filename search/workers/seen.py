"""Who works for a study: a row a running trial, on whichever machine."""

from datetime import UTC, datetime
from typing import NamedTuple

import optuna
import sqlalchemy
from optuna.trial import TrialState

from search.database import storage
from search.record import chains, results
from search.record import study as studies


class Working(NamedTuple):
    """One worker with its trial.

    process: its number on the host, which tells several of one host apart; None where nobody noted
        it. epochs_per_s: of the last epochs, None before the first.
    silent_s: since its last sign of life, by the database's own clock, None before the first.
    """

    study: str
    host: str
    process: int | None
    device: str
    trial: int
    epochs: int
    epochs_per_s: float | None
    silent_s: float | None


def working(study: optuna.Study) -> list[Working]:
    """Those of the search and of its confirming runs, by host."""
    found = []
    for one in (study, *studies.siblings(study)):
        silence = _silence(one)
        for trial in one.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lease = trial.user_attrs.get(chains.LEASE, {})
            found.append(
                Working(
                    one.study_name,
                    str(lease.get("host", "?")),
                    lease.get("pid"),
                    str(trial.user_attrs.get("device", "")),
                    trial.number,
                    results.epochs_run(trial),
                    1 / seconds if (seconds := results.seconds_an_epoch(trial)) else None,
                    silence.get(trial._trial_id),
                )
            )
    return sorted(found, key=lambda row: (row.host, row.process or 0, row.study, row.trial))


def _silence(study: optuna.Study) -> dict[int, float]:
    """Seconds since the last heartbeat of each RUNNING trial, by its id."""
    query = sqlalchemy.text(
        "SELECT t.trial_id, h.heartbeat, CURRENT_TIMESTAMP AS now FROM trials t "
        "JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
        "WHERE t.study_id = :study AND t.state = :running"
    )
    asked = {"study": study._study_id, "running": TrialState.RUNNING.name}
    database = storage.database_of(study)

    def read() -> dict[int, float]:
        with database.engine.connect() as connection:
            rows = connection.execute(query, asked)
            return {row.trial_id: _apart(row.now, row.heartbeat) for row in rows}

    return database.patience.run(read)


def _apart(now: datetime | str, then: datetime | str) -> float:
    """Seconds between two moments of one clock, which SQLite tells as text."""
    one, other = (
        moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
        for moment in (now, then)
    )
    aware = [m if m.tzinfo else m.replace(tzinfo=UTC) for m in (one, other)]
    return max((aware[0] - aware[1]).total_seconds(), 0.0)
