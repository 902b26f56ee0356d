"""Which runs a tracker has whole: none is told twice, neither where a command is repeated nor where
two are at work. In the study's attributes, by the place where the tracker keeps them."""

import hashlib
import secrets
import time
from collections.abc import Collection, Iterable
from typing import Any

import optuna

from search import provenance
from search.database import storage

TRACKED = "optsearch:tracked"  # study attribute, with a digest of the place: it may hold a secret
SIGN_S, SILENT_S = 60.0, 600.0  # between two signs of life; without one a command counts as gone

Chain = tuple[str, int]  # the name of the study, of the search or of its confirming; first trial


class Ledger:
    """Of one tracker, as one command uses it."""

    def __init__(self, study: optuna.Study, place: str, *, is_empty: bool) -> None:
        """
        Args:
            place: where the tracker keeps its runs.
            is_empty: what it had there is gone.
        """
        self._study = study
        self._key = f"{TRACKED}:{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        self._token, self._mine = secrets.token_hex(4), set[Chain]()
        self._signed = time.monotonic()
        if is_empty and self._key in study.user_attrs:
            with storage.exclusive(study):
                others = self._read()[1]
                study.set_user_attr(self._key, {"by": others})

    def take(self, asked: Collection[Chain]) -> set[Chain]:
        """Those of them that nobody has told whole, and nobody else is at; they are this one's."""
        with storage.exclusive(self._study):
            whole, others = self._read()
            held = {chain for entry in others.values() for chain in self._chains(entry["runs"])}
            free = set(asked) - whole - held
            if free:
                self._mine |= free
                self._write(whole, others)
        return free

    def told(self, chains: Collection[Chain]) -> None:
        """The tracker has these whole; without any, from time to time, a sign of life."""
        is_due = self._mine and time.monotonic() - self._signed > SIGN_S
        if chains or is_due:
            self._mine -= set(chains)
            with storage.exclusive(self._study):
                whole, others = self._read()
                self._write(whole | set(chains), others)

    def has_answer(self, made_of: str) -> bool:
        """Whether the tracker has the answer that is made of this (`events.made_of`)."""
        return bool(self._study.user_attrs.get(self._key, {}).get("answer") == made_of)

    def answered(self, made_of: str) -> None:
        """The tracker has it now."""
        with storage.exclusive(self._study):
            stored = self._study.user_attrs.get(self._key, {})
            self._study.set_user_attr(self._key, stored | {"answer": made_of})

    def leave(self) -> None:
        """Somebody else may go on with what is not whole."""
        if self._mine:
            self._mine.clear()
            with storage.exclusive(self._study):
                self._write(*self._read())

    def _read(self) -> tuple[set[Chain], dict[str, Any]]:
        """What is whole, and what the other commands that are at work have taken."""
        stored = self._study.user_attrs.get(self._key, {})
        others = {
            token: entry
            for token, entry in stored.get("by", {}).items()
            if token != self._token and not _is_gone(entry)
        }
        return self._chains(stored.get("whole", {})), others

    def _write(self, whole: set[Chain], others: dict[str, Any]) -> None:
        mine = {
            "process": provenance.process(),
            "at": time.time(),
            "runs": self._packed(self._mine),
        }
        by = others | ({self._token: mine} if self._mine else {})
        stored = self._study.user_attrs.get(self._key, {})
        now = {"whole": self._packed(whole), "by": by}
        self._study.set_user_attr(self._key, stored | now)
        self._signed = time.monotonic()

    def _packed(self, chains: Iterable[Chain]) -> dict[str, str]:
        """By study, under what its name has beyond the search's: a study may be renamed."""
        numbers: dict[str, list[int]] = {}
        for study, number in chains:
            numbers.setdefault(study.removeprefix(self._study.study_name), []).append(number)
        return {name: packed(found) for name, found in numbers.items()}

    def _chains(self, stored: dict[str, str]) -> set[Chain]:
        name = self._study.study_name
        return {(name + end, number) for end, text in stored.items() for number in unpacked(text)}


def _is_gone(entry: dict[str, Any]) -> bool:
    return provenance.is_gone(entry["process"]) or time.time() - entry["at"] > SILENT_S


def packed(numbers: Iterable[int]) -> str:
    """`0-5,7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def unpacked(text: str) -> set[int]:
    """What `packed` made."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
