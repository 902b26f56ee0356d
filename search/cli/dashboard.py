"""`optsearch dashboard`: optuna-dashboard on the storage, in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Storage


def dashboard(
    storage: Storage = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other machines need a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any.")] = 8080,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Let people delete studies and write notes.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: $OPTSEARCH_DASHBOARD_PASSWORD, else none."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name it is reached by, behind a proxy. Repeatable."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Serve optuna-dashboard, read-only, with every trial's learning curve and notes."""
    import webbrowser

    from search.dashboard import serve
    from search.database import storage as storages

    server = serve.create_server(
        storages.resolve_url(storage),
        port,
        host,
        password=serve.read_password(password_file),
        is_editable=allow_edit,
        allowed_hosts=allowed_host or (),
    )
    address = serve.address_of(server)
    typer.echo(
        f"{address} - {'studies can be changed' if allow_edit else 'read-only'}; Ctrl-C ends it"
    )
    if open_browser:
        webbrowser.open(address)
    server.run()
