"""All that can be wrong with settings and a search space before anything is trained."""

from __future__ import annotations

from typing import Any


def check(
    settings: dict[str, Any], space: dict[str, Any], direction: str = "maximize"
) -> list[tuple[str, str]]:
    return []
