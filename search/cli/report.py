"""`optsearch report`."""


def report() -> None:
    """..."""
