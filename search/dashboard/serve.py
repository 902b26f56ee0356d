"""The dashboard's server: one process, waitress, bound to this machine unless it has a password."""

import contextlib
import functools
import ipaddress
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.errors import UsageError

PASSWORD = "OPTSEARCH_DASHBOARD_PASSWORD"
_LIMITS: dict[str, Any] = {  # of waitress
    "threads": 16,
    "max_request_body_size": 2**20,  # bytes: notes; nothing is uploaded here
    "connection_limit": 1000,  # somebody who opens many and asks nothing does not keep others out
    "asyncore_use_poll": True,  # select() knows no more than 1,024
    "ident": None,
}
PORT = 8080
CLOSE_S = 5.0  # that the end of a run waits for requests under way
_PORTS = 50  # how many after a taken one are looked at for a free one


def create_server(
    url: str,
    port: int,
    host: str = "127.0.0.1",
    *,
    password: str | None = None,
    is_editable: bool = False,
    allowed_hosts: Sequence[str] = (),
) -> Any:
    """A server for the studies of a storage; `run()` serves until interrupted.

    Args:
        allowed_hosts: names under which a proxy of this machine, or the network, reaches it.

    Raises:
        UsageError: the address is not of this machine, taken, or needs a password.
        StorageError: the storage holds no studies' tables. One that cannot be reached is none: a
            page says so until it can.
    """
    import waitress

    address = _resolved(host)
    if not ipaddress.ip_address(address).is_loopback and password is None:
        raise UsageError(
            f"--host {host}: whoever reaches this address can read every study, so it needs a "
            f"password; set {PASSWORD}, or name a file with --password-file"
        )
    from search.dashboard import away, fast, gate, views

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a page asks many things at once
    rules = gate.Rules(
        password=password,
        is_editable=is_editable,
        hosts=frozenset(h.lower() for h in (host, socket.gethostname(), *allowed_hosts)),
        is_proxied=bool(allowed_hosts),
    )
    make = functools.partial(views.application, url=url, is_editable=is_editable)
    door = away.Door(url, make)
    try:
        return waitress.create_server(
            gate.Gate(fast.compressed(door), rules), host=address, port=port, **_LIMITS
        )
    except OSError as error:
        raise UsageError(_refused(host, address, port, error)) from error


@contextlib.contextmanager
def beside(url: str) -> Iterator[str]:
    """The address of a server that lives as long as what is done in here, on PORT or any free one.

    Raises:
        UsageError: as `create_server`.
    """
    password = read_password(None)
    try:
        server = create_server(url, PORT, password=password)
    except UsageError:
        server = create_server(url, 0, password=password)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield address_of(server)
    finally:
        server.trigger.pull_trigger(lambda: _close(server))  # in its own thread; so it ends
        thread.join(CLOSE_S)


def _close(server: Any) -> None:
    """The listening socket, and the connections that browsers keep open."""
    for channel in list(server._map.values()):
        channel.close()
    server.task_dispatcher.shutdown(timeout=CLOSE_S)


def address_of(server: Any) -> str:
    """The URL to open on this machine."""
    host = server.effective_host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{server.effective_port}/"


def read_password(file: Path | None) -> str | None:
    """The password of a file, else of the environment; None where neither is given.

    Raises:
        UsageError: it is empty, or no single line of text.
    """
    if file is None and PASSWORD not in os.environ:
        return None
    place = PASSWORD if file is None else f"--password-file {file}"
    try:
        text = os.environ[PASSWORD] if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise UsageError(f"{place}: cannot be read: {cause}; name another file") from error
    password = text.rstrip("\r\n") if file else text
    if not password.strip() or "\n" in password or "\r" in password:
        raise UsageError(f"{place}: must be one line that is not empty; write a password there")
    return password


def _resolved(host: str) -> str:
    """The first address of a name, numeric."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: is no address or name of this machine") from error
    return str(found[0][4][0])


def _refused(host: str, address: str, port: int, error: OSError) -> str:
    cause = os.strerror(error.errno) if error.errno else str(error)
    if not is_free(address, 0):
        return f"--host {host}: {cause}; name an address of this machine"
    by_whom = holder(port)
    by = f" by {by_whom}" if by_whom else ""
    free = next((p for p in range(port + 1, port + _PORTS) if is_free(address, p)), 0)
    return f"--port {port}: {cause}{by}; try --port {free}" + (", or --port 0 for any" * bool(free))


def is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, OverflowError):
            return False
    return True


def holder(port: int) -> str | None:
    """`optsearch (pid 4242)`, who listens on a port, where the system tells (Linux)."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(_target(fd) in sockets for fd in folder.iterdir()):
                name = (folder.parent / "comm").read_text().strip()
                return f"{name} (pid {folder.parent.name})"
    return None


def _target(fd: Path) -> str:
    """What an open file of a process is; "" where it was closed meanwhile, as one or another is."""
    with contextlib.suppress(OSError):
        return str(fd.readlink())
    return ""


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = re.split(r"\s+", line.strip())
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                    yield fields[9]
