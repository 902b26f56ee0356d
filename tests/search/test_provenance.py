"""search/provenance.py: where a result comes from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search import provenance
from search.errors import ObjectiveError

Write = Callable[[str, str], Path]


def test_versions_are_those_of_the_packages_a_result_depends_on() -> None:
    """Without importing any of them."""
    assert {"python", "optuna", "torch", "torchvision", "numpy"} <= provenance.versions().keys()


def test_the_code_fingerprint_follows_the_code(folder: Path, write: Write) -> None:
    """Another text is another fingerprint; the same one, anywhere, is the same."""
    first = provenance.code_fingerprint("./mine.py:objective", str(folder))
    copied = write("elsewhere/mine.py", (folder / "mine.py").read_text())
    assert provenance.code_fingerprint("./mine.py:objective", str(copied.parent)) == first
    write("mine.py", "def objective(trial): return 1\n")
    assert provenance.code_fingerprint("./mine.py:objective", str(folder)) != first


def test_a_packages_fingerprint_covers_all_of_the_package_and_nothing_else(
    folder: Path, write: Write
) -> None:
    """`package.module:function` beside the study file: its folder, not the study's."""
    write("parcel/__init__.py", "")
    write("parcel/inner.py", "def f(trial): return 1\n")

    def fingerprint() -> str:
        return provenance.code_fingerprint("parcel.inner:f", str(folder))

    first = fingerprint()
    write("unrelated.py", "x = 1\n")
    assert fingerprint() == first
    write("parcel/other.py", "x = 1\n")
    assert fingerprint() != first


def test_a_module_beside_comes_before_an_installed_one(folder: Path, write: Write) -> None:
    """As for whoever imports it: the fingerprint is of the code that is run."""
    file = write("colorsys.py", "def f(trial): return 1\n")
    first = provenance.code_fingerprint("colorsys:f", str(folder))
    file.write_text("def f(trial): return 2\n")
    assert provenance.code_fingerprint("colorsys:f", str(folder)) != first


@pytest.mark.parametrize("objective", ["./no.py:f", "no_such.module:f", "nosuch:f"])
def test_code_that_is_not_there_is_told(objective: str, folder: Path) -> None:
    """With both ways to write a reference."""
    with pytest.raises(ObjectiveError, match=r"there is no module .*; write ./FILE.py:FUNCTION"):
        provenance.code_fingerprint(objective, str(folder))
