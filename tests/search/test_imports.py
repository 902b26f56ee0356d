"""imports.py: what importing an objective's file does and gets, told before it is done."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search import imports, objective
from search.errors import ObjectiveError

Write = Callable[[str, str], Path]
F = "def f(trial): return 1.0\n"
NOTED = "open('log', 'a').write('trained ')\n"


@pytest.fixture(autouse=True)
def clean_imports(folder: Path) -> Iterator[None]:
    """What a test imports out of its folder is forgotten after it."""
    path, before = [*sys.path], {*sys.modules}
    yield
    sys.path[:] = path
    for name, module in [*sys.modules.items()]:
        if name not in before and str(folder) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def refused(reference: str, folder: Path) -> str:
    with pytest.raises(ObjectiveError) as caught:
        objective.load(reference, str(folder))
    return str(caught.value)


SEARCHES = {
    "optimize": "study.optimize(f, n_trials=3)",
    "in a function": "def main():\n    study.optimize(f, n_trials=3)\nmain()",
    "ask": "study.tell(study.ask(), 1.0)",
    "caught": "try: study.optimize(f)\nexcept Exception: pass",
    "under a condition": "if len(str(1)) == 1: study.optimize(f)",
}


@pytest.mark.parametrize("lines", SEARCHES.values(), ids=SEARCHES)
def test_a_search_at_import_is_refused(lines: str, write: Write, folder: Path) -> None:
    """With its place and the remedy, before the first trial of it; also where the file catches."""
    text = f"import optuna\ndef f(trial):\n    {NOTED}    return 1.0\n"
    write("searches.py", f"{text}study = optuna.create_study()\n{lines}\n")
    told = refused("./searches.py:f", folder)
    assert told.startswith("searches.py:")
    assert told.endswith('put it under `if __name__ == "__main__":`')
    assert not (folder / "log").exists()


def test_a_search_of_a_module_beside_it_is_refused_with_its_place(
    write: Write, folder: Path
) -> None:
    """The search begins where the objective's file imports it."""
    write("tuner_of_mine.py", "import optuna\noptuna.create_study().optimize(len, n_trials=1)\n")
    write("innocent.py", f"import tuner_of_mine\n{F}")
    assert refused("./innocent.py:f", folder).startswith("tuner_of_mine.py:2 a search")


TRAININGS = {
    "objective": "f(None)",
    "backward": "for step in range(3):\n    loss = net(step)\n    loss.backward()",
    "in a function": "def main():\n    train()\ndef train():\n    net(1).backward()\nmain()",
    "keras": "net.fit(images, labels, epochs=3)",
    "lightning": "pl.Trainer(max_epochs=3).fit(net, images)",
    "with": "with open('x') as file:\n    print(f(None))",
}


@pytest.mark.parametrize("lines", TRAININGS.values(), ids=TRAININGS)
def test_a_training_at_import_is_refused_before_it_begins(
    lines: str, write: Write, folder: Path
) -> None:
    """Nothing of the file has run by then."""
    write("trains.py", f"{NOTED}{F}{lines}\n")
    assert "trains` when the file" in refused("./trains.py:f", folder).replace(
        ")` trains", "trains`"
    )
    assert not (folder / "log").exists()


INNOCENT = {
    "guard": 'if __name__ == "__main__":\n    f(None); optuna.create_study().optimize(f)',
    "guarded import": 'if __name__ == "__main__":\n    import script_of_mine',
    "scaler": "class S:\n    def fit(self, x): return self\nscaler = S().fit([1.0])",
    "study": "study = optuna.create_study()",
    "function": "def train(net):\n    net.backward()\n    f(None)",
    "lambda": "late = lambda net: net.backward()",
}


@pytest.mark.parametrize("lines", INNOCENT.values(), ids=INNOCENT)
def test_what_trains_nothing_is_loaded(lines: str, write: Write, folder: Path) -> None:
    """Preprocessing may be fitted, and whatever stands under the guard is for `python FILE`."""
    write("script_of_mine.py", "loss.backward()\n")
    write("loads.py", f"import optuna\n{F}{lines}\n")
    assert objective.load("./loads.py:f", str(folder))(None) == 1.0


@pytest.mark.parametrize("name", ["search", "random", "optuna"])
@pytest.mark.parametrize("is_package", [False, True])
def test_a_module_that_would_be_taken_for_another_is_refused(
    name: str, is_package: bool, write: Write, folder: Path
) -> None:
    """With both files: the one beside the objective, and the one that is in use here already."""
    file = write(f"{name}/__init__.py" if is_package else f"{name}.py", "def build(): pass\n")
    write("user.py", f"{F}def late():\n    import {name}\n")
    told = refused("./user.py:f", folder)
    assert told.startswith(f"user.py:3 imports '{name}': it would get {sys.modules[name].__file__}")
    assert str(file.resolve()) in told


def test_a_module_of_that_name_that_nobody_imports_is_no_fault(write: Write, folder: Path) -> None:
    """A script `search.py` may lie beside."""
    write("search.py", "print('a script')\n")
    write("alone.py", F)
    assert objective.load("./alone.py:f", str(folder))(None) == 1.0


@pytest.mark.parametrize("name", ["search", "random"])
def test_an_objectives_file_may_have_the_name_of_a_module_in_use(
    name: str, write: Write, folder: Path
) -> None:
    """It takes nobody's place; what it imports of that name is the other one."""
    before = sys.modules[name]
    write(f"{name}.py", f"import {name}\ndef f(trial): return {name}\nANSWER = 42\n")
    loaded = objective.load(f"./{name}.py:f", str(folder))
    assert loaded(None) is before is sys.modules[name]  # type: ignore[comparison-overlap]
    assert objective.companion(loaded, "ANSWER") == 42


def test_equal_names_in_two_folders_are_told(write: Write, folder: Path) -> None:
    """The first one's `common_of_mine.py` stands in for the second's in one process."""
    for place in ("one", "two"):
        write(f"{place}/common_of_mine.py", f"PLACE = '{place}'\n")
        write(f"{place}/own.py", f"import common_of_mine\n{F}")
    objective.load("./own.py:f", str(folder / "one"))
    told = refused("./own.py:f", folder / "two")
    assert "one/common_of_mine.py, not" in told
    assert "two/common_of_mine.py" in told


def test_a_module_that_hides_another_is_told(write: Write, folder: Path) -> None:
    """Where the import fails, with the failure: `torch` without `nn` is a riddle."""
    beside = write("wave.py", "VALUE = 1\n")
    write("surfer.py", f"from wave import VALUE\n{F}")
    objective.load("./surfer.py:f", str(folder))
    told = f"surfer.py:1 imports 'wave': {beside.resolve()} hides Python's own 'wave'"
    assert objective.remarks("./surfer.py:f", str(folder)) == [told]
    write("mailbox.py", "")
    write("fails.py", f"import mailbox\nmailbox.open\n{F}")
    assert "mailbox.py hides Python's own 'mailbox'; try `python " in refused(
        "./fails.py:f", folder
    )


def test_a_package_beside_with_the_name_of_ours_is_told(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`objectives.mine:f` would be looked for in ours."""
    import objectives

    write("objectives/mine.py", F)
    told = refused("objectives.mine:f", folder)
    assert told.startswith("objective: objectives.mine would be of ")
    assert str(Path(objectives.__path__[0])) in told
    assert str(folder / "objectives") in told


def test_a_slow_import_is_told(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes that long, it is done in every worker."""
    monkeypatch.setattr(imports, "SLOW_S", 0)
    write("heavy.py", F)
    objective.load("./heavy.py:f", str(folder))
    (line,) = objective.remarks("./heavy.py:f", str(folder))
    assert line.startswith("heavy.py: importing it computes for 0 s, in every worker")


def test_only_what_is_imported_is_read(write: Write, folder: Path) -> None:
    """A script of a package trains nothing as long as nobody imports it."""
    write("bag_of_mine/__init__.py", "")
    write("bag_of_mine/models.py", "from . import layers\n")
    write("bag_of_mine/layers.py", "")
    write("bag_of_mine/train.py", "loss.backward()\n")
    file = write("picks.py", f"from bag_of_mine.models import Net\n{F}")
    read = imports.code(file, folder).read
    names = sorted(one.name for one in read)
    assert names == ["__init__.py", "layers.py", "models.py", "picks.py"]


def test_slow_packages_are_found_ahead(write: Write, folder: Path) -> None:
    """Late imports and those of modules beside it, too; not where a module beside it is meant."""
    write("mine.py", "import torch.nn\nimport utils\nimport pandas\ndef f(t):\n import sklearn\n")
    write("utils.py", "from torchvision import transforms\nimport yaml\n")
    write("pandas.py", "")
    found = imports.packages(folder / "mine.py", folder)
    assert found == ["sklearn", "torch", "torchvision"]
    assert imports.packages(folder / "missing.py", folder) == []
