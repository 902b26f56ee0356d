"""optsearch from Python: `from search import run_study, load_results, best_config`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import Answer, best_config, figures, load_results, run_study

__all__ = ["Answer", "best_config", "figures", "load_results", "run_study"]


def __getattr__(name: str) -> Any:
    """Loaded when asked for (PEP 562): every part of `search` imports this file."""
    if name not in __all__:
        raise AttributeError(f"module 'search' has no attribute '{name}'")
    from search import api

    return getattr(api, name)
