"""search/database/rdb.py and trial_rows.py: each fast path gives what Optuna's own method gives."""

import math
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import optuna
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search.database import storage, trial_rows
from search.database.rdb import CLAIM, TOKEN, Database
from search.record import budget, chains, outcomes
from search.workers import live_trial
from search.workers.stop import Stop
from tests.mysql import DATABASES

pytestmark = pytest.mark.soak  # thousands of drawn rows

Lossy = Callable[[Database, bool], Callable[[], None]]
FINITE = st.floats(-1e300, 1e300)
ANY = st.one_of(FINITE, st.sampled_from([math.inf, -math.inf]))
DISTRIBUTIONS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "float": (FloatDistribution(-1e9, 1e9), st.floats(-1e9, 1e9)),
    "log": (FloatDistribution(1e-9, 1.0, log=True), st.floats(1e-9, 1.0)),
    "step": (FloatDistribution(0.0, 1.0, step=0.25), st.sampled_from([0.0, 0.5, 1.0])),
    "int": (IntDistribution(-5, 5), st.integers(-5, 5)),
    "int_log": (IntDistribution(1, 512, log=True), st.integers(1, 512)),
    "int_step": (IntDistribution(0, 9, step=3), st.sampled_from([0, 3, 9])),
    "choice": (
        CategoricalDistribution(["sgd", None, True, 3, 0.5]),
        st.sampled_from(["sgd", None, True, 3, 0.5]),
    ),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)


@st.composite
def trials(draw: st.DrawFn) -> FrozenTrial:
    """Any trial that Optuna would store."""
    state = draw(st.sampled_from(list(TrialState)))
    names = draw(st.sets(st.sampled_from(sorted(DISTRIBUTIONS))))
    has_value = state == TrialState.COMPLETE or (state == TrialState.PRUNED and draw(st.booleans()))
    moment = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))
    return FrozenTrial(
        number=0,
        trial_id=0,
        state=state,
        value=draw(ANY) if has_value else None,
        datetime_start=None if state == TrialState.WAITING else draw(moment),
        datetime_complete=draw(moment) if state.is_finished() else None,
        params={name: draw(DISTRIBUTIONS[name][1]) for name in names},
        distributions={name: DISTRIBUTIONS[name][0] for name in names},
        user_attrs=draw(st.dictionaries(TEXT, JSON, max_size=3)),
        system_attrs=draw(st.dictionaries(TEXT, JSON, max_size=3)),
        intermediate_values=draw(st.dictionaries(st.integers(0, 99), ANY | st.just(math.nan))),
    )


@pytest.fixture(params=DATABASES, scope="module")
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = storage.open_storage(f"sqlite:///{tmp_path_factory.mktemp('rows')}/a.db")
    else:
        servers = {"postgresql": "postgresql_server", "mysql": "mysql"}
        opened = storage.open_storage(request.getfixturevalue(servers[request.param]))
    yield opened
    for study in opened.get_all_studies():
        opened.delete_study(study._study_id)
    opened.engine.dispose()


@pytest.fixture
def plain(database: Database) -> RDBStorage:
    """Optuna's own storage on the same database."""
    return RDBStorage(database.engine.url.render_as_string(hide_password=False))


@pytest.fixture
def study(database: Database) -> optuna.Study:
    return optuna.create_study(
        storage=database,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )


def same(ours: list[FrozenTrial], theirs: list[FrozenTrial]) -> bool:
    """Equal in all that a trial holds; NaN equals NaN."""
    return [repr(_sorted(t)) for t in ours] == [repr(_sorted(t)) for t in theirs]


def _sorted(trial: FrozenTrial) -> list[Any]:
    fields = dict(vars(trial))
    return [(k, sorted(v.items()) if isinstance(v, dict) else v) for k, v in sorted(fields.items())]


# Reading


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(trials(), max_size=4))
def test_trials_are_read_as_optuna_reads_them(
    database: Database, plain: RDBStorage, found: list[FrozenTrial]
) -> None:
    """All kinds of distributions, values, states and attributes; all at once, some, and one."""
    study_id = database.create_new_study([optuna.study.StudyDirection.MINIMIZE])
    ids = [plain.create_new_trial(study_id, t) for t in found]
    assert same(database.get_all_trials(study_id), plain.get_all_trials(study_id))
    few = plain._get_trials(study_id, None, set(ids[:1]), ids[1]) if len(ids) > 1 else []
    assert not few or same(database._get_trials(study_id, None, set(ids[:1]), ids[1]), few)
    ended = (TrialState.COMPLETE, TrialState.FAIL)
    assert same(
        database.get_all_trials(study_id, states=ended),
        plain.get_all_trials(study_id, states=ended),
    )
    for trial_id in ids:
        assert same([database.get_trial(trial_id)], [plain.get_trial(trial_id)])


@pytest.mark.parametrize("few", [0, 500])
def test_many_trials_are_read_as_few_are(
    study: optuna.Study, plain: RDBStorage, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Rows of a handful of trials are asked for by name, those of many by their study."""
    monkeypatch.setattr(trial_rows, "FEW", few)
    for i in range(5):
        trial = study.ask()
        trial.report(i, 0)
        study.tell(trial, i)
    ours = storage.database_of(study).get_all_trials(study._study_id)
    assert len(ours) == 5
    assert same(ours, plain.get_all_trials(study._study_id))


def test_values_of_several_objectives_keep_their_order(
    database: Database, plain: RDBStorage
) -> None:
    """Also where they were stored in another one."""
    study = optuna.create_study(storage=database, directions=["minimize"] * 3)
    study.tell(study.ask(), [3.0, 1.0, 2.0])
    (trial,) = database.get_all_trials(study._study_id)
    assert trial.values == [3.0, 1.0, 2.0]
    assert same([trial], plain.get_all_trials(study._study_id))


def test_what_is_not_there_is_a_key_error(database: Database) -> None:
    """As Optuna has it: it tells a deleted study from an empty one."""
    with pytest.raises(KeyError):
        database.get_trial(10**9)
    with pytest.raises(KeyError):
        database.get_all_trials(10**9)
    with pytest.raises(KeyError):
        database.set_trial_user_attr(10**9, "a", 1)
    with pytest.raises(KeyError):
        database.create_new_trial(10**9)


# Writing


def run_a_trial(backend: RDBStorage, study_id: int, template: FrozenTrial) -> int:
    """All that is written of a trial, some of it twice."""
    trial_id = backend.create_new_trial(study_id)
    for name, distribution in template.distributions.items():
        internal = distribution.to_internal_repr(template.params[name])
        for value in (internal, internal + 1):  # Optuna keeps the first
            backend.set_trial_param(trial_id, name, value, distribution)
    for step, value in template.intermediate_values.items():
        backend.set_trial_intermediate_value(trial_id, step, 7.0)
        backend.set_trial_intermediate_value(trial_id, step, value)
    for key, attr in template.user_attrs.items():
        backend.set_trial_user_attr(trial_id, key, "before")
        backend.set_trial_user_attr(trial_id, key, attr)
    for key, attr in template.system_attrs.items():
        backend.set_trial_system_attr(trial_id, key, attr)
    backend.set_trial_state_values(trial_id, template.state, template.values)
    return trial_id


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trials())
def test_trials_are_written_as_optuna_writes_them(
    database: Database, plain: RDBStorage, template: FrozenTrial
) -> None:
    """Optuna reads the same back, whoever of the two has written it."""
    study_id = database.create_new_study([optuna.study.StudyDirection.MINIMIZE])
    ours, theirs = (
        plain.get_trial(run_a_trial(backend, study_id, template)) for backend in (database, plain)
    )
    assert TOKEN not in ours.system_attrs
    assert (ours.number, theirs.number) == (0, 1)
    assert (ours.datetime_complete is None) == (theirs.datetime_complete is None)
    for trial in (ours, theirs):
        assert abs((datetime.now() - (trial.datetime_start or datetime.now())).total_seconds()) < 60
        trial.number = trial._trial_id = 0
        trial.datetime_start = trial.datetime_complete = None
    assert same([ours], [theirs])


def test_another_distribution_of_a_name_is_refused(study: optuna.Study) -> None:
    """As Optuna refuses it, also by a process that has not read the study yet."""
    study.ask({"x": CategoricalDistribution(["a"])})
    fresh = optuna.load_study(study_name=study.study_name, storage=storage.database_of(study))
    with pytest.raises(ValueError, match="does not support dynamic value space"):
        fresh.ask({"x": CategoricalDistribution(["a", "b"])})


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_what_has_ended_is_not_changed(study: optuna.Study, state: TrialState) -> None:
    """Reports, attributes, parameters and states: UpdateFinishedTrialError, as Optuna has it."""
    trial = study.ask()
    study._storage.set_trial_state_values(trial._trial_id, state, [0.0])
    for change in (
        lambda: trial.report(0.5, 0),
        lambda: trial.set_user_attr("a", 1),
        lambda: trial.set_constraint("c", 1.0),
        lambda: trial.suggest_float("x", 0, 1),
        lambda: study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING),
    ):
        with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
            change()


# Slots


def test_claims_are_exact_however_many_claim(study: optuna.Study) -> None:
    """Eight at once over the same budget: each slot goes to one, and none beyond the limit."""
    study.enqueue_trial({"x": 1.0})
    got: list[int | None] = []

    def claim_all() -> None:
        while (trial_id := budget.claim(study, budget.Limits(20))) is not None:
            got.append(trial_id)

    threads = [threading.Thread(target=claim_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = study.trials
    assert sorted(got) == [t._trial_id for t in found]  # type: ignore[type-var]
    assert [t.number for t in found] == list(range(20))
    assert {t.state for t in found} == {TrialState.RUNNING}


@pytest.fixture
def strict_mysql(mysql: str) -> Iterator[str]:
    """A server that isolates as those from MariaDB 11.6 on do by themselves."""
    engine = sqlalchemy.create_engine(mysql)
    name = "innodb_snapshot_isolation"
    with engine.connect() as connection:
        if connection.exec_driver_sql(f"SHOW VARIABLES LIKE '{name}'").first() is None:
            pytest.skip("a server without snapshot isolation")
        before = connection.exec_driver_sql(f"SELECT @@GLOBAL.{name}").scalar()
        connection.exec_driver_sql(f"SET GLOBAL {name} = ON")
        yield mysql
        connection.exec_driver_sql(f"SET GLOBAL {name} = {before}")
    engine.dispose()


@pytest.mark.soak
def test_who_writes_one_row_at_once_does_not_end_the_other(
    strict_mysql: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is an error there, where one reads repeatably, that somebody else was faster."""
    opened = storage.open_storage(strict_mysql)
    study = optuna.create_study(storage=opened)
    failures: list[Exception] = []

    def write(name: str) -> None:
        other = storage.open_storage(strict_mysql)
        try:
            for i in range(25):
                other.set_study_user_attr(study._study_id, "same", f"{name} {i}")
        except Exception as error:
            failures.append(error)
        other.engine.dispose()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert caplog.messages == []  # nor is anything waited for
    assert study.user_attrs["same"].endswith(" 24")


def test_a_retry_comes_first_and_costs_no_slot(study: optuna.Study) -> None:
    """A link of a chain that has begun is run even where the budget is used up; others wait."""
    first = budget.claim(study, budget.Limits(1))
    study.enqueue_trial({"x": 1.0})
    study.enqueue_trial({"x": 2.0}, user_attrs={chains.CHAIN: 0})
    retry = budget.claim(study, budget.Limits(1))
    assert budget.claim(study, budget.Limits(1)) is None
    queued = budget.claim(study, budget.Limits(2))
    assert [t._trial_id for t in study.trials] == [first, queued, retry]
    assert budget.claim(study, budget.Limits(2)) is None


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("is_queued", [True, False])
def test_a_slot_is_claimed_once_though_the_answer_is_lost(
    study: optuna.Study, lose_answers: Lossy, is_committed: bool, is_queued: bool
) -> None:
    """The second try finds what the first one took, or takes it."""
    database = storage.database_of(study)
    if is_queued:
        study.enqueue_trial({"x": 1.0})
    lose_answers(database, is_committed)()
    claimed = budget.claim(study, budget.Limits(5))
    (trial,) = study.trials
    assert (trial._trial_id, trial.state) == (claimed, TrialState.RUNNING)
    assert (CLAIM if is_queued else TOKEN) in trial.system_attrs


# The trial that an objective gets


def test_a_live_trial_prunes_as_optuna_would(study: optuna.Study) -> None:
    """The same pruner, the same peers, the same answers."""
    for i in range(4):
        done = study.ask()
        for step in range(5):
            done.report(i + step, step)
        study.tell(done, float(i))
    claimed = budget.claim(study, budget.Limits())
    assert claimed is not None
    live = live_trial.LiveTrial(study, claimed, Stop())
    plain = optuna.Trial(study, claimed)
    answers = []
    for step, value in enumerate([0.5, 9.0, 0.1, 9.9, 1.0]):
        live.report(value, step)
        plain._cached_frozen_trial.intermediate_values[step] = value
        answers.append(live.should_prune())
        assert answers[-1] == plain.should_prune()
    assert set(answers) == {True, False}
    study.tell(live, 1.0)


def test_peers_are_seen_at_the_latest_after_the_refresh(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then a trial compares itself with those that it has seen."""
    claimed = budget.claim(study, budget.Limits())
    assert claimed is not None
    live = live_trial.LiveTrial(study, claimed, Stop())
    live.report(0.1, 0)
    assert not live.should_prune()
    peer = study.ask()
    peer.report(0.9, 0)
    study.tell(peer, 0.9)
    assert not live.should_prune()
    monkeypatch.setattr(live_trial, "REFRESH_S", 0.0)
    assert live.should_prune()


def test_a_live_trial_ends_at_the_report_after_a_request(study: optuna.Study) -> None:
    """What was reported is kept; the parameters work without a sampler that reads the study."""
    stop = Stop()
    claimed = budget.claim(study, budget.Limits())
    assert claimed is not None
    live = live_trial.LiveTrial(study, claimed, stop)
    live.suggest_float("x", 0, 1)
    stop.requested = True
    with pytest.raises(outcomes.Preempted):
        live.report(0.5, 0)
    assert study.trials[0].intermediate_values == {0: 0.5}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (chains.CHAIN, 0),
        ("optsearch:anything", 1),
        ("seed", 1),
        ("configuration", "mine"),
        ("best_epoch", "third"),
        ("checkpointed", None),
        ("horizon", "long"),
        (chains.AUDIT, {}),
    ],
)
def test_an_objective_cannot_write_what_is_read_here_as_something_else(
    study: optuna.Study, key: str, value: object
) -> None:
    """It would pass the budget, or make the study unreadable: it is kept aside, and costs nothing.
    Any other name is free."""
    claimed = budget.claim(study, budget.Limits())
    assert claimed is not None
    live = live_trial.LiveTrial(study, claimed, Stop())
    before = study.trials[0].user_attrs
    live.set_user_attr(key, value)
    assert study.trials[0].user_attrs == {**before, f"objective:{key}": value}
    live.set_user_attr("chain", value)
    live.set_user_attr("best_epoch", 3)
    assert study.trials[0].user_attrs["chain"] == value
