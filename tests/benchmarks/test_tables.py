"""The tables of our own making: what a line holds, and how a table is made."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from search.studyfile.space import Space, params_problems
from tests.benchmarks import make_table

FOLDER = Path(__file__).parent / "tables"
FILES = [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("*.jsonl"))]
KINDS = [pytest.param(table, id=name) for name, table in make_table.TABLES.items()]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("path", FILES)
def test_a_line_is_a_point_of_the_space_with_a_whole_curve(path: Path) -> None:
    """One pair of accuracy and loss an epoch; where the loss is null the run had diverged."""
    table = make_table.TABLES[path.stem]
    space = TypeAdapter(Space).validate_python(table.space)
    for row in rows_of(path):
        assert list(params_problems(space, row["params"])) == []
        assert len(row["val"]) == table.settings["epochs"]
        assert all(0 <= accuracy <= 1 for accuracy, _ in row["val"])
        ended = [loss is None for _, loss in row["val"]]
        assert ended == sorted(ended)


@pytest.mark.parametrize("path", FILES)
def test_a_table_has_every_optimizer_its_portfolio_and_fresh_seeds(path: Path) -> None:
    """As many random configurations of each, a known one at least, the best two with five seeds."""
    table, rows = make_table.TABLES[path.stem], rows_of(path)
    names = table.space["optimizer"]["choice"]
    for origin, count in (("random", len(rows) // 10), ("again", 8)):
        got = [row["params"]["optimizer"] for row in rows if row["from"] == origin]
        assert all(got.count(name) >= count for name in names)
    known = [row["params"] for row in rows if row["from"] not in ("random", "again")]
    assert {params["optimizer"] for params in known} == set(names)
    assert len({(json.dumps(row["params"]), row["seed"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("table", KINDS)
def test_a_seed_draws_the_same_points_however_many(table: make_table.Table) -> None:
    """So that a table grows without a training being lost."""
    few, many = (list(make_table.drawn(table.space, 3, count)) for count in (12, 30))
    assert few == many[:12]
    assert few != list(make_table.drawn(table.space, 4, 12))
    space = TypeAdapter(Space).validate_python(table.space)
    assert all(list(params_problems(space, job.params)) == [] for job in many)


@pytest.mark.soak
def test_a_table_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """A torn line is trained again, what is there is not; a diverged run is chance to its end."""
    digits = make_table.TABLES["digits-simple_cnn"]
    table = make_table.Table({**digits.settings, "epochs": 2}, digits.space, (300, 20))
    data, path = make_table.load(table, None), tmp_path / "table.jsonl"
    jobs = list(itertools.islice(make_table.drawn(table.space, 0, 2), 2))
    first = [make_table.trained(job, table, data) for job in jobs]
    path.write_text(json.dumps(first[0]) + "\n" + json.dumps(first[1])[:20])
    assert make_table.whole_lines(path) == first[:1]
    assert path.read_text() == json.dumps(first[0]) + "\n"
    assert make_table.trained(jobs[1], table, data)["val"] == first[1]["val"]
    wild = make_table.Job({"optimizer": "sgd", "lr": 1e30, "batch_size": 16}, 0, "random")
    assert make_table.trained(wild, table, data)["val"] == [[0.1, None]] * 2
