"""Scores and chances in the words of people, with the sign that they see."""

import math

from search.strategy.steps import Question


def shown(score: float, question: Question) -> str:
    """A score as people see it."""
    return f"{-score if question.minimizes else score:.4g}"


def chance_words(chance: float, best: float, question: Question) -> str:
    """`4 % chance to beat 0.712`."""
    if not math.isfinite(best):
        return "no score yet"
    return f"{100 * chance:.0f} % chance to beat {shown(best, question)}"
