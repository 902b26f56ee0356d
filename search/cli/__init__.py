"""The command line. Importing it loads nothing: `optsearch --help` must answer at once."""


def main() -> None:
    """The entry point of the command `optsearch`."""
    from search.cli.app import run_app

    run_app()
