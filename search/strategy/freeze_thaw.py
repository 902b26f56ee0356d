"""Freeze and thaw: train a little, pause, and go on with what may still win.

Three rules share the epochs: the chance to beat the best by a random margin within a random number
of epochs (MFPI-random, Rakotoarison et al., 2404.16795), promotion of the best at each rung (ASHA,
Li et al., 1810.05934), which leans on no model, and now and then a configuration at random.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

from search.strategy import prior
from search.strategy.beliefs import Beliefs, one_thread
from search.strategy.chances import chance_words, shown
from search.strategy.floors import Floors
from search.strategy.seen import COMPLETE, PAUSED, RUNNING, Seen
from search.strategy.steps import Question, Run, Step

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
FRESH = 0.1  # of decisions: a configuration at random, so that no model can stick
PROMOTE, PROMOTE_ARM = 0.15, 0.5  # of decisions (inside an arm): the best at a rung goes on
LEAD = 0.25  # of decisions: the best so far goes on, where it has not run to its end
ETA = 3.0  # one in so many at a rung is promoted
DRAWN, NEAR, CLOSER = 160, 160, 128  # candidates for a new configuration, in two rounds
# Of the decimal logarithm of the margin to beat the best by. A small one trusts the model and stays
# near the best; inside an arm, whose rows of the portfolio say where to look, that is right.
MARGIN, MARGIN_ARM = (-1.0, 0.5), (-2.0, 0.0)
PAUSED_SEEN = 128  # paused runs that a decision weighs
WORTH = 0.02  # a paused run with less chance is not worth going on with, where trials are limited
PER_ARM = 0.8  # of decisions, where there are arms: what may win inside the one that got least
EVEN = 1.0  # of an even share of the epochs goes to every arm, also one that is behind
TIE = 0.15  # an arm that may come so near the best (in deviations of the scores) is open


class FreezeThaw:
    """`strategy: {name: freeze_thaw}`. See `Strategy` for what `next` and `explain` promise."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.seen = Seen(question)

    def next(self, runs: Sequence[Run], timely: int | None = None) -> Step | None:
        self.seen.update(runs)
        with one_thread():
            return _Decision(self.question, self.seen, timely).step()

    def explain(self, runs: Sequence[Run], number: int) -> str:
        self.seen.update(runs)
        i = next(k for k, run in enumerate(runs) if run.number == number)
        verb = "paused" if self.question.pauses else "ended"
        return f"{verb} at epoch {len(runs[i].scores)}: {self._standing(i)}"

    def _standing(self, i: int) -> str:
        """How run i stands against the others: the best so far has nobody to beat but itself."""
        best = self.seen.best[np.isfinite(self.seen.best)]
        mine, question = self.seen.best[i], self.question
        if not len(best) or not mine >= best.max() or (best == mine).sum() > 1:
            known = len(best) and self.seen.epochs[i]
            with one_thread():
                chance = Beliefs(self.seen).chance(i) if known else 0.0
            return chance_words(chance, best.max(initial=-math.inf), question)
        told = f"the best so far, {shown(mine, question)}"
        others = best[best < mine]
        if not len(others):
            return told
        return f"{told}; the best of the others is {shown(others.max(), question)}"


class _Decision:
    """One call of `next`: what is known, and chance drawn from it alone."""

    def __init__(self, question: Question, seen: Seen, timely: int | None) -> None:
        self.question, self.seen = question, seen
        granted = np.where(seen.states == RUNNING, seen.until, seen.epochs)
        self.spent = np.maximum(granted, seen.epochs)
        self.rng = np.random.default_rng([question.seed, len(seen.runs), int(self.spent.sum())])
        self.left = math.inf if question.epochs is None else question.epochs - self.spent.sum()
        soon = math.inf if timely is None else timely - self.spent.sum()
        self.likely = min(self.left, soon)  # what floors go by; it ends nothing
        self.arms = range(len(seen.arm_values))
        self.may_begin = question.trials is None or len(seen.runs) < question.trials
        self.paused = np.flatnonzero((seen.states == PAUSED) & (seen.epochs < seen.planned))

    def step(self) -> Step | None:
        if self.left <= 0:
            return None
        queued, last = Floors(self).affordable(), self._last_epochs()
        if len(queued) and (last is None or (self.seen.states == COMPLETE).any()):
            i = int(queued[0])
            return self.go_on(i, f"{self.seen.runs[i].name or 'queued'}: tried first")
        if last is not None:  # before what is queued, where there would else be no answer
            return last
        if not np.isfinite(self.seen.best).any():
            return self.begin(None, "at random") or self._any_paused()
        self.beliefs = Beliefs(self.seen)
        return Floors(self).step() or self._open()

    def go_on(self, i: int, why: str, until: int | None = None) -> Step:
        run, granted = self.seen.runs[i], until or self.seen.next_rung(i)
        affordable = int(min(granted, self.seen.epochs[i] + self.left))
        return Step(run.number, dict(run.params), affordable, why)

    def begin(self, place: Array | None, why: str, arm: int | None = None) -> Step | None:
        """A new configuration; at random where no place is given. None: there is none left."""
        if not self.may_begin:
            return None
        if place is None:
            drawn = self.unseen(self.seen.points.draw(self.rng, DRAWN), arm)
            if not len(drawn):
                return None
            place = drawn[0]
        until = int(min(self.seen.rungs[0], self.left))
        return Step(None, self.seen.points.params(place), until, why)

    def _any_paused(self) -> Step | None:
        return self.go_on(int(self.paused[0]), "nothing else is left") if len(self.paused) else None

    def _last_epochs(self) -> Step | None:
        """The leader to its end, where the epochs left would else not pay for it."""
        best = self.seen.best
        if not np.isfinite(best).any():
            return None
        leader = int(np.nanargmax(best))
        need = self.seen.planned[leader] - self.seen.epochs[leader]
        if leader in self.paused and self.likely - self.seen.rungs[0] < need:
            return self.go_on(leader, "the best runs to its end", int(self.seen.planned[leader]))
        return None

    def unseen(self, places: Array, arm: int | None = None) -> Array:
        """Places of an arm (None: of any) that no run has taken, float [n, P]."""
        points, seen = self.seen.points, self.seen
        if arm is not None and self.question.by:
            places = places.copy()
            places[:, points.names.index(self.question.by)] = (arm + 0.5) / len(seen.arm_values)
            fresh = self.rng.random(places.shape)
            places = points.settled(np.where(np.isfinite(places), places, fresh))
        return places[[place.tobytes() not in seen.taken for place in places]]

    def candidates(self, arm: int | None = None) -> Array:
        """Places of new configurations: all over the space, and near the best, float [n, P]."""
        seen, points = self.seen, self.seen.points
        drawn = points.draw(self.rng, DRAWN)
        good = np.flatnonzero(np.isfinite(seen.best))
        if arm is not None and (seen.arms[good] == arm).any():
            good = good[seen.arms[good] == arm]
        top = good[np.argsort(-seen.best[good], kind="stable")][:8]
        weights = 0.7 ** np.arange(len(top))
        pick = self.rng.choice(top, NEAR, p=weights / weights.sum())
        widths = 10 ** self.rng.uniform(-2, -0.5, (NEAR, 1))
        near = points.near(self.rng, seen.places[pick], widths)
        return self.unseen(np.concatenate([drawn, near]), arm)

    def _open(self) -> Step | None:
        """What may win, among all; mostly inside the arm that is open and got least."""
        arm = None
        if self.question.by and self.rng.random() < PER_ARM:
            arm = self._open_arm()
        mine = self.paused if arm is None else self.paused[self.seen.arms[self.paused] == arm]
        if not self.may_begin:
            return self._only_paused()
        leader = self._leader(arm)
        if leader in mine and (arm is not None or self.rng.random() < LEAD):
            return self.go_on(
                leader, "its arm's best so far" if arm is not None else "the best so far"
            )
        if not self.question.pauses and (step := self._promote(mine, arm)):
            return step
        chance = self.rng.random()
        if chance < FRESH and (step := self.begin(None, "at random", arm)):
            return step
        promote = PROMOTE if arm is None else PROMOTE_ARM
        if chance < FRESH + promote and (step := self._promote(mine, arm)):
            return step
        return self._improve(mine, arm)

    def _open_arm(self) -> int:
        """The arm that got the fewest epochs, of those that may still win or tie, and of those
        that are short of their even share."""
        spent = [int(self.spent[self.seen.arms == a].sum()) for a in self.arms]
        even = EVEN * sum(spent) / len(spent)
        order = sorted(self.arms, key=lambda arm: spent[arm])
        return next((a for a in order if spent[a] < even or self._may_win(a)), order[0])

    def _may_win(self, arm: int) -> bool:
        """Whether the arm's best, tried or not, may come as near the best as TIE."""
        seen, beliefs = self.seen, self.beliefs
        target = float(beliefs.scale(beliefs.scale.best)) - TIE
        leader = self._leader(arm)
        if leader >= 0 and float(beliefs.scale(seen.best[leader])) >= target:
            return True
        means, sds = beliefs.of_new(self.candidates(arm)[-64:], self.question.longest)
        return bool((means + 2 * sds >= target).any())

    def _only_paused(self) -> Step | None:
        """No new configuration is allowed: the leader, then what has a chance worth its epochs."""
        if not len(self.paused):
            return None
        leader = int(np.nanargmax(self.seen.best))
        if leader in self.paused:
            return self.go_on(leader, "the best runs to its end")
        index = self._hopeful(self.paused)
        means, sds = self.beliefs.of_runs(index, self.seen.planned[index])
        chances = ndtr((means - float(self.beliefs.scale(self.beliefs.scale.best))) / sds)
        k = int(np.argmax(chances))
        if chances[k] < WORTH:
            return None
        why = chance_words(float(chances[k]), self.beliefs.scale.best, self.question)
        return self.go_on(int(index[k]), why)

    def _leader(self, arm: int | None) -> int:
        """The run with the highest score yet (of an arm); -1: there is none."""
        seen = self.seen
        best = np.where(arm is None or seen.arms == arm, seen.best, np.nan)
        return int(np.nanargmax(best)) if np.isfinite(best).any() else -1

    def _promote(self, paused: Indices, arm: int | None) -> Step | None:
        """The best paused run of the highest rung at which it is one of the best ETA-th."""
        seen = self.seen
        for rung in reversed(range(len(seen.rungs) - 1)):
            marks = seen.marks[:, rung]
            of = np.isfinite(marks) & (arm is None or seen.arms == arm)
            known = np.sort(marks[of])[::-1]
            here = paused[of[paused] & np.isnan(seen.marks[paused, rung + 1])]
            count = int(len(known) / ETA)
            here = here[marks[here] >= known[count - 1]] if count else here[:0]
            if len(here):
                best = int(here[np.argmax(marks[here])])
                return self.go_on(best, f"one of the best {count} after {seen.rungs[rung]} epochs")
        return None

    def _improve(self, paused: Indices, arm: int | None) -> Step | None:
        """The likeliest to beat the best by a random margin: a paused run within a random number
        of epochs, a new configuration at its end."""
        seen, target = self.seen, self._target(arm)
        index = self._hopeful(paused)
        horizon = int(self.rng.integers(1, self.question.longest + 1))
        place, new_score = self._likeliest(target, arm)
        if len(index):
            at = np.minimum(seen.epochs[index] + horizon, seen.planned[index])
            means, sds = self.beliefs.of_runs(index, at)
            scores = (means - target) / sds
            k = int(np.argmax(scores))
            if place is None or scores[k] >= new_score:
                return self.go_on(int(index[k]), self._why(scores[k]))
        return None if place is None else self.begin(place, self._why(new_score))

    def proposal(self, arm: int | None) -> Array | None:
        """Place of the new configuration that is likeliest to beat its arm's best."""
        return self._likeliest(self._target(arm), arm)[0]

    def _target(self, arm: int | None) -> float:
        """The best (of an arm) and a random margin more, on the model's scale."""
        own = self.seen.best if arm is None else self.seen.best[self.seen.arms == arm]
        best = float(np.nanmax(own if np.isfinite(own).any() else self.seen.best))
        inside = arm is not None and self.question.by is not None
        margin = self.rng.uniform(*(MARGIN_ARM if inside else MARGIN))
        return float(self.beliefs.scale(best)) + 10 ** float(margin)

    def _likeliest(self, target: float, arm: int | None) -> tuple[Array | None, float]:
        """A new place that at its end is likeliest to beat `target`, and by how many deviations.

        Looked for among all, then around the likeliest five; in an arm, where its prior points.
        """
        places = self.candidates(arm)
        if not len(places):
            return None, -math.inf
        scores, worth = self._scores(places, target, arm)
        tops = places[np.argsort(-worth, kind="stable")[:5]]
        widths = 10 ** self.rng.uniform(-2, -0.7, (CLOSER, 1))
        near = self.seen.points.near(self.rng, tops[np.arange(CLOSER) % len(tops)], widths)
        closer = self.unseen(near, arm)
        if len(closer):
            places = np.concatenate([places, closer])
            more, more_worth = self._scores(closer, target, arm)
            scores, worth = np.concatenate([scores, more]), np.concatenate([worth, more_worth])
        k = int(np.argmax(worth))
        return places[k], float(scores[k])

    def _scores(self, places: Array, target: float, arm: int | None) -> tuple[Array, Array]:
        """By how many deviations places beat `target`, and the logarithm of that chance under the
        prior; crowded places last."""
        means, sds = self.beliefs.of_new(places, self.question.longest)
        scores = (means - target) / sds - 1e3 * self.beliefs.crowded(places)
        near = 0.0 if arm is None else prior.logarithms(self.seen, places, arm)
        return scores, np.asarray(log_ndtr(scores) + near, float)

    def _why(self, deviations: float) -> str:
        return chance_words(float(ndtr(deviations)), self.beliefs.scale.best, self.question)

    def _hopeful(self, paused: Indices) -> Indices:
        """At most PAUSED_SEEN paused runs, those that stand best."""
        best = np.nan_to_num(self.seen.best[paused], nan=-math.inf)
        return paused[np.argsort(-best, kind="stable")[:PAUSED_SEEN]]
