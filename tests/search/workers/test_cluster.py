"""search/workers/cluster.py: the same workers on a real Ray cluster, of which a node dies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.errors import UsageError
from search.record import chains
from search.workers import cluster
from search.workers.seats import Seat, Wish

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two nodes of one core each on this machine."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made, made.add_node(num_cpus=1)
    made.shutdown()


@pytest.mark.soak
def test_a_study_survives_the_loss_of_a_node(
    nodes: Any,
    command: Callable[..., Any],
    database: str,
    write: Write,
    wait_for: Callable[..., None],
) -> None:
    """Its trial goes on elsewhere; the budget stays exact, and every curve is whole."""
    write(
        "mine.py",
        """
        import os, random, time
        from pathlib import Path
        def objective(trial, seed):
            draw = random.Random(seed)
            Path(__file__).with_name(f"{os.getpid()}.pid").touch()
            for epoch in range(8):
                while epoch == 4 and not Path(__file__).with_name("go").exists():
                    time.sleep(0.1)
                trial.report(draw.random(), epoch)
            return draw.random()
        """,
    )
    ray_cluster, second = nodes
    budget = ("--trials", 8, "--workers", 2, "--set", "pruner=none")
    run = ("run", "--study", "./mine.yaml", "--storage", URL, "--cluster", ray_cluster.address)
    started = command(*run, *budget)

    def trials() -> list[optuna.trial.FrozenTrial]:
        try:
            return optuna.load_study(study_name="mine", storage=URL).trials
        except KeyError:
            return []

    leases = lambda: {str(t.user_attrs.get(chains.LEASE)) for t in trials()}  # noqa: E731
    wait_for(lambda: len(leases()) >= 2, 300)  # on a busy machine Ray takes minutes to start
    wait_for(lambda: len([*Path().glob("*.pid")]) == 2)
    workers = [Path("/proc", file.stem) for file in Path().glob("*.pid")]
    ray_cluster.remove_node(second, allow_graceful=False)
    wait_for(lambda: not all(worker.exists() for worker in workers))
    Path("go").touch()
    done = started.end(timeout_s=300)  # Ray takes a minute to see it
    assert done.code == 0, done.err
    links = chains.grouped(trials())
    assert [one[-1].state.name for one in links.values()] == ["COMPLETE"] * 8
    assert {len(one[-1].intermediate_values) for one in links.values()} == {8}
    assert len(trials()) > 8  # a trial was lost with the node


@pytest.mark.soak
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "auto"])
def test_an_address_where_nobody_answers_is_told_at_once(
    cli: Cli, database: str, address: str
) -> None:
    """Ray would try for a minute."""
    answer = cli("run", "--study", "./mine.yaml", "--storage", URL, "--cluster", address)
    assert answer.code == 2
    assert f"--cluster {address}: no Ray cluster answers there" in answer.err


@pytest.mark.parametrize(
    ("wish", "number", "cpus", "gpus", "seat"),
    [
        (Wish("auto", None, None, "x"), 4, 4, 0, Seat("auto", 1)),
        (Wish("auto", 3, None, "x"), 3, 1, 2, Seat("cuda", 1)),
        (Wish("auto", None, None, "x"), 2, 8, 2, Seat("cuda", 4)),
        (Wish("cuda", None, 4, "x"), 8, 8, 2, Seat("cuda", 1)),
        (Wish("cpu", 2, None, "x"), 2, 8, 2, Seat("cpu", 1)),
    ],
)
def test_workers_ask_ray_for_cores_and_shares_of_gpus(
    wish: Wish, number: int, cpus: int, gpus: int, seat: Seat
) -> None:
    """auto is as many as the whole cluster holds."""
    found = {"CPU": float(cpus), "GPU": float(gpus)}
    if wish.workers == 3:
        with pytest.raises(UsageError, match="3 GPUs needed, the cluster has 2"):
            cluster._plan(wish, found)
        return
    planned, resources, at = cluster._plan(wish, found)
    assert (planned, at) == (number, seat)
    assert resources["num_cpus"] * planned <= cpus
    assert resources["num_gpus"] * planned <= gpus
