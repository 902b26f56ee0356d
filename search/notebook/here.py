"""Whether this is a notebook. Light: every run from Python asks it."""

import sys


def is_here() -> bool:
    """Whether this process is a notebook's kernel. IPython at a terminal has none, and whoever has
    not imported it is in no notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")
