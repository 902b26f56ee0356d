"""Whether a configuration that was trained once more agrees with what is on record of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search import provenance
from search.answers import measures, statistics
from search.answers.replay import Best, Measured
from search.errors import IdentityError
from search.studyfile.spec import StudySpec


def changed_data(best: Best, found: Mapping[str, Any], allowed: bool) -> str:
    """A warning where the data is not what was searched with; "" where it is, or nobody knows.

    Raises:
        IdentityError: it differs, and that was not allowed.
    """
    was, now = best.data.get("fingerprint"), found.get("fingerprint")
    if was is None or now is None or was == now:
        return ""
    if not allowed:
        raise IdentityError(
            f"the data differs from what was searched with: fingerprint was {was}, is {now}; "
            "find the same data, or add --allow-different-data"
        )
    return f"warning: other data than was searched with (fingerprint was {was}, is {now})"


def changed_code(best: Best, folder: str) -> str:
    """A warning where the objective's code is not what was searched with; "" otherwise."""
    now = provenance.code_fingerprint(best.objective, folder)
    if best.code in (None, now):
        return ""
    return (
        f"warning: the code of {best.objective} has changed since the search "
        f"({best.code} -> {now}): the score may differ"
    )


NO_SEEDS = "the file records no other seeds, and one seed gives no interval to compare with"
SAME_MACHINE = "device, threads, versions and code are as recorded, where they are recorded"
ON_GPU = "kernels of a GPU may add in another order, so that the interval of other seeds decides"


@dataclass(frozen=True)
class Machine:
    """What a score depends on beside configuration and seed."""

    device: str | None
    threads: int
    versions: Mapping[str, str]
    code: str | None
    kind: str = "cpu"  # of device; of no other is a score expected bitwise

    def differences(self, best: Best) -> list[str]:
        """What was otherwise when the score was recorded, as far as that is known."""
        pairs = [("device", best.device, self.device), ("threads", best.threads, self.threads)]
        pairs += [(n, best.versions[n], self.versions.get(n)) for n in best.versions]
        pairs += [("code", best.code, self.code)]
        return [
            f"{name} {was}, here {now or 'none'}"
            for name, was, now in pairs
            if was is not None and was != now
        ]


def here(device: str | None, threads: int, question: StudySpec, kind: str = "cpu") -> Machine:
    """This machine, as far as a score depends on it."""
    code = provenance.code_fingerprint(question.objective, question.folder)
    return Machine(device, threads, provenance.versions(), code, kind)


def of_run(
    best: Best,
    metric: str,
    done: dict[str, Any],
    found: dict[str, Any],
    seed: int,
    machine: Machine,
) -> list[str]:
    """What the record says of a training, and of its look at the test set where there was one."""
    if done["value"] is None:
        return []
    lines = agreement(best, metric, done["value"], seed, machine)
    for name, score in (found.get("test") or {}).items():
        if best.confirmed.of(f"test_{name}"):
            lines += agreement(best, f"test_{name}", score, seed, machine)
    return lines


def agreement(best: Best, metric: str, value: float, seed: int, machine: Machine) -> list[str]:
    """What the record says of a score of its configuration, a line each.

    A seed on record must give its score bitwise on the same CPU, and ought to on the same GPU;
    another one is expected in the prediction interval of the recorded seeds.
    """
    known = best.known_seeds(metric)
    lines = [_same_seed(best, metric, value, seed, machine)] if seed in known else []
    if known.get(seed) == value:
        return lines
    measured = best.confirmed.of(metric)
    if measured is None:
        return [*lines, f"{metric} {value:.6g} with seed {seed}: {NO_SEEDS}"]
    return [*lines, _other_seeds(metric, value, measured)]


def _same_seed(best: Best, metric: str, value: float, seed: int, machine: Machine) -> str:
    was = best.known_seeds(metric)[seed]
    if value == was:
        return f"agrees: {metric} {value:.6g} is bitwise the recorded score of seed {seed}"
    differences = "; ".join(machine.differences(best))
    why = f"recorded with {differences}" if differences else SAME_MACHINE
    if machine.kind != "cpu":
        why += f"; {ON_GPU}"
    return (
        f"differs: {metric} is {value!r}, the record of seed {seed} is {was!r} "
        f"({value - was:+.2g}); {why}"
    )


def _other_seeds(metric: str, value: float, measured: Measured) -> str:
    scores = list(measured.seeds.values())
    expected = statistics.next_value(scores) if len(set(scores)) > 1 else None
    if expected is None or expected.low is None or expected.high is None:
        return (
            f"{metric} {value:.6g}, the recorded mean is {measured.mean:.6g}; the scores of two "
            "seeds that differ would give an interval, and the file has none"
        )
    low, high = expected.low, expected.high
    if measures.is_bounded(metric):
        low, high = max(low, 0.0), min(high, 1.0)
    inside = low <= value <= high
    return (
        f"{'agrees' if inside else 'differs'}: {metric} {value:.4f} lies "
        f"{'in' if inside else 'outside of'} {low:.4f}..{high:.4f}, "
        "where 95 of 100 runs with other seeds are expected"
    )
