"""`optsearch dashboard`: optuna-dashboard on the storage, in a browser."""

from typing import Annotated

import typer

from search.cli.options import Storage


def dashboard(
    storage: Storage = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any.")] = 8080,
) -> None:
    """Serve optuna-dashboard on this machine (127.0.0.1), with every trial's learning curve."""
    from search import dashboard as dashboards
    from search import storage as storages

    server = dashboards.create_server(storages.resolve_url(storage), port)
    typer.echo(f"http://127.0.0.1:{server.effective_port}/ - Ctrl-C ends it")
    server.run()
