"""search/studyfile/catalog.py: names and paths of study files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import StudyNotFoundError
from search.studyfile import catalog


def test_a_name_is_a_study_of_the_package_and_a_path_the_users_own(
    write: Callable[[str, str], Path],
) -> None:
    """A slash or an ending makes it a path, so that a local `digits.yaml` hides nothing."""
    write("digits.yaml", "objective: m:f\n")
    assert catalog.find("digits") == catalog.available()["digits"]
    assert catalog.find("digits.yaml") == Path("digits.yaml")
    assert catalog.find("./digits.yaml") == Path("./digits.yaml")


def test_an_unknown_study_is_told_with_the_nearest_names(folder: Path) -> None:
    """A slip of one letter gets the right name; nonsense gets all of them."""
    with pytest.raises(StudyNotFoundError, match=r"--study digist: .*: digits, .*\./digist"):
        catalog.find("digist")
    with pytest.raises(StudyNotFoundError, match=r"cifar, .*digits, .*mnist"):
        catalog.find("zzzz")
    with pytest.raises(StudyNotFoundError, match=r"--study ./no.yaml: no such file"):
        catalog.find("./no.yaml")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("objective: ./mine.py:objective\n", "./mine.py:objective"),
        ('# a\nobjective: "m:f"  # b\n', "m:f"),
        ("{objective: m:f}\n", ""),
        ("seed: 1\n", ""),
        ("objective: [\n", "["),
    ],
)
def test_the_objective_is_seen_at_a_glance_or_not_at_all(
    write: Callable[[str, str], Path], text: str, seen: str
) -> None:
    """The glance only warms up; it never fails, whatever the file holds."""
    write("a.yaml", text)
    assert catalog.objective_of("./a.yaml") == seen


def test_the_glance_reads_any_bytes(folder: Path) -> None:
    """A file that is no UTF-8 gets its message from the parser, not a traceback from here."""
    (folder / "a.yaml").write_bytes(b"\xff\xfe\nobjective: m:f\n")
    assert catalog.objective_of("./a.yaml") == "m:f"
