"""What another command has changed about a study since it was last run, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

import optuna

from search.database import storage
from search.record import chains
from search.record import study as studies
from search.studyfile.spec import StudySpec

FOLLOWED = ("budget", "confirm", "audit")  # also by commands that are at work
MAY = (*FOLLOWED, "strategy", "sampler", "pruner", "portfolio", "by")


def spec_of(name: str, url: str) -> Mapping[str, Any] | None:
    """What the study of that name was last run with; None where there is none of ours."""
    try:
        found = optuna.load_study(study_name=name, storage=storage.open_storage(url))
    except KeyError:
        return None
    spec = found.user_attrs.get("spec")
    return spec if isinstance(spec, dict) else None


def words(before: Mapping[str, Any] | None, study: optuna.Study) -> str:
    """`changed since: budget.trials was 40, is 80`; "" where nothing that may change has."""
    after = study.user_attrs["spec"]
    found = [] if before is None else list(_leaves(before, after))
    if not found:
        return ""
    running = any(not t.state.is_finished() and chains.LEASE in t.user_attrs
                  for t in study.get_trials(deepcopy=False))  # fmt: skip
    follow = [line for line in found if line.startswith(FOLLOWED)]
    what = "follow" if follow else "keep what they began with"
    only = f" {', '.join(FOLLOWED)} alone" * bool(follow and len(follow) < len(found))
    more = f"; commands that are at work {what}{only}" * running
    return f"changed since the last run: {', '.join(found)}{more}"


class Follower:
    """A study as it is asked by now: another command may have given it another budget, confirm or
    audit since this one began. `spec` and `limits` are as `look` has last seen them."""

    def __init__(self, study: optuna.Study, spec: StudySpec) -> None:
        self.spec, self.limits = spec, studies.limits(study, spec)
        self.words = ""  # what has changed, for people
        self._study = study
        self._seen: object = None

    def look(self) -> bool:
        """Whether something has changed since the last look; `words` are "" where that is only what
        is kept of the epochs for confirming. The runs that confirm have a plan of their own."""
        attrs = self._study.user_attrs
        if studies.CONFIRMS in attrs or not isinstance(stored := attrs.get("spec"), dict):
            return False
        seen = [*(stored.get(key) for key in FOLLOWED), attrs.get(studies.RESERVED)]
        if seen == self._seen:
            return False
        self._seen = seen
        before, limits = self.spec, self.limits
        try:
            now = studies.stored_spec(self._study)
        except ValueError:  # of an optsearch that is newer than this one
            return False
        assert now is not None
        self.spec = before.model_copy(update={key: getattr(now, key) for key in FOLLOWED})
        self.limits = studies.limits(self._study, self.spec)
        found = [] if before == self.spec else _leaves(_parts(before), _parts(self.spec))
        told = ", ".join(found)
        self.words = f"changed meanwhile: {told}" if told else ""
        return (before, limits) != (self.spec, self.limits)


def _parts(spec: StudySpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, include=set(FOLLOWED))


def _leaves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in MAY:
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            for name in dict.fromkeys((*old, *new)):
                if old.get(name) != new.get(name):
                    yield f"{key}.{name} was {_told(old.get(name))}, is {_told(new.get(name))}"
        elif old != new:
            yield f"{key} was {_told(old)}, is {_told(new)}"


def _told(value: Any) -> str:
    return "nothing" if value is None else str(value)
