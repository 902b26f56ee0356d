"""Where things go: folders and their disks, the storage, the dashboard's port, a browser."""

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

from search.doctor import asking
from search.doctor.finding import Finding, size

LITTLE_DISK = 2**30
CONNECT_S = 4
BROWSER_S = 20
PORT = 8080  # of `optsearch dashboard`
# Kinds of file systems that other machines share, as /proc/self/mountinfo calls them.
_SHARED = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|lustre|gpfs|beegfs\w*|ceph|glusterfs|9p|afs|wekafs|pvfs2|"
    r"fuse\.(sshfs|s3fs|gcsfuse|glusterfs\w*|ceph\w*|juicefs|rclone|goofys|mount-s3|blobfuse2?)"
)


def data(folder: Path) -> Finding:
    """The cache folder of data sets."""
    remedy = "set OPTSEARCH_DATA or settings.data_dir to a folder that can be written"
    return _folder("data", folder, remedy)


def workdir(folder: Path) -> Finding:
    """Where checkpoints and models go."""
    return _folder("workdir", folder.absolute(), "name another one: --workdir DIR")


def _folder(subject: str, folder: Path, remedy: str) -> Finding:
    if fault := refusal(folder):
        return Finding(subject, "error", f"{folder}: cannot be written: {fault}", remedy)
    free = shutil.disk_usage(existing(folder)).free
    kind = shared(folder)
    told = f"{folder}, {size(free)} free" + (f", shared by {kind}" if kind else "")
    if free < LITTLE_DISK:
        return Finding(subject, "warning", told, f"make room, or {remedy}")
    return Finding(subject, "fine", told)


def existing(folder: Path) -> Path:
    """The folder, or the innermost of those around it that is there."""
    folder = folder.absolute()
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path("/"))


def refusal(folder: Path) -> str:
    """Why no file can be made in a folder, or the folder not be made; "" where both can.

    What is made to find out has no name, or is gone at once.
    """
    place = existing(folder)
    try:
        if place.stat().st_mode & 0o222 == 0:  # root may, but it is meant to stay as it is
            return "it is read-only" if place == folder else f"{place} is read-only"
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        cause = error.strerror or str(error)
        return cause if place == folder else f"{place}: {cause}"


def shared(folder: Path) -> str:
    """The kind of network file system that a folder lies on; "" on a disk of this machine."""
    with contextlib.suppress(OSError):
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        kind = file_system(existing(folder).resolve(), table)
        return kind if _SHARED.fullmatch(kind) else ""
    return ""


def file_system(place: Path, mountinfo: str) -> str:
    """The kind of file system that a path lies on; of two mounts in one place the later counts.

    mountinfo: the text of /proc/self/mountinfo, as proc(5) describes it.
    """
    found = (-1, "")
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda one: chr(int(one[1], 8)), fields.split()[4])
        depth = len(Path(point).parts)
        if place.is_relative_to(point) and depth >= found[0]:
            found = (depth, rest.split()[0])
    return found[1]


def storage(url: str) -> Finding:
    """Whether it can be reached and written; a file is not made, nor is anything changed in it."""
    from search.database import storage as storages
    from search.errors import StorageError

    try:
        file = storages.file(url)
        return _file(file) if file is not None else _server(url)
    except StorageError as error:
        found, _, remedy = str(error).removeprefix("--storage ").rpartition("; ")
        return Finding("storage", "error", found, remedy)


def _file(file: Path) -> Finding:
    """A SQLite file. Its neighbours -wal and -shm have to be written, too: so has its folder."""
    remedy = "name another file: --storage sqlite:///FILE"
    if fault := refusal(file.absolute().parent):
        return Finding("storage", "error", f"{file}: its folder cannot be written: {fault}", remedy)
    if file.exists() and (fault := _locked(file)):
        return Finding("storage", "error", f"{file}: {fault}", remedy)
    if kind := shared(file.absolute().parent):
        found = f"{file} lies on {kind}, whose locks SQLite cannot rely on"
        return Finding(
            "storage",
            "warning",
            found,
            "keep it on a disk of one machine, or use PostgreSQL: --storage postgresql://...",
        )
    told = f"{file}" if file.exists() else f"{file}, which the first run makes"
    return Finding("storage", "fine", told)


def _locked(file: Path) -> str:
    """Why a SQLite file cannot be written; "" where it can: the lock of a writer is taken, and
    given back."""
    if not os.access(file, os.W_OK) or file.stat().st_mode & 0o222 == 0:
        return "is read-only"
    try:
        where = f"{file.absolute().as_uri()}?mode=rw"
        with contextlib.closing(
            sqlite3.connect(where, uri=True, timeout=CONNECT_S, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT count(*) FROM sqlite_master")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return ""


def _server(url: str) -> Finding:
    from search.database import storage as storages
    from search.errors import NoStudiesError

    place = storages.redacted(url)
    limit = "connect_timeout" if "connect_timeout" not in url else ""
    asked = url + (f"{'&' if '?' in url else '?'}{limit}={CONNECT_S}" if limit else "")
    try:
        storages.open_storage(asked, create=False).engine.dispose()
    except NoStudiesError:
        return Finding("storage", "fine", f"{place}, reached; the first run makes its tables")
    return Finding("storage", "fine", f"{place}, reached and writable")


def port() -> Finding:
    """Whether the dashboard can have its own."""
    from search.dashboard import serve

    if serve.is_free("127.0.0.1", PORT):
        return Finding("port", "fine", f"{PORT} is free for `optsearch dashboard`")
    by = serve.holder(PORT)
    found = f"{PORT} is in use" + (f" by {by}" if by else "")
    return Finding("port", "warning", found, "optsearch dashboard --port 0 takes any")


def browser() -> Finding:
    """Whether figures can be written as pictures: `report --format png`."""
    from choreographer.browsers.chromium import Chromium

    program = Chromium.find_browser(skip_local=False)
    return picture(program, asking.program([program, "--version"], BROWSER_S) if program else None)


def picture(program: str | None, answer: asking.Answer | None) -> Finding:
    """Judge a browser by what it says to `--version`."""
    remedy = "`plotly_get_chrome` installs one; `report` as HTML needs none"
    if program is None or answer is None:
        return Finding(
            "browser", "warning", "no Chrome or Chromium for report --format png", remedy
        )
    if answer.fault:
        return Finding(
            "browser",
            "warning",
            f"{program} does not start: {answer.fault}",
            "install the libraries that it misses, or another one: `plotly_get_chrome`",
        )
    return Finding("browser", "fine", f"{answer.out.strip()}, {program}")
