"""optsearch from Python: `from optsearch import run_study` (search/face/), or from here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api.models import load_model
    from search.api.run import Answer, run_study
    from search.api.study import Study
    from search.api.tables import best_config, compare, figures, load_results
    from search.errors import OptsearchError

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "OptsearchError",
    "Study",
    "best_config",
    "compare",
    "figures",
    "load_model",
    "load_results",
    "run_study",
]
_FILES = {
    "Answer": "search.api.run",
    "OptsearchError": "search.errors",
    "Study": "search.api.study",
    "load_model": "search.api.models",
    "run_study": "search.api.run",
}


def __getattr__(name: str) -> Any:
    """Loaded when asked for (PEP 562): every part of `search` imports this file."""
    if name not in __all__:
        raise AttributeError(f"module 'search' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_FILES.get(name, "search.api.tables")), name)
