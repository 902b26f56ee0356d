"""A real MariaDB server, where its program and a driver for it are installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

START_S = 30
# fixtures of a database each; a third server beside each worker of the suite is dear
DATABASES = ("sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.soak))


def serve(folder: str) -> Iterator[str]:
    """The URL of an empty database on a server of its own; skips where there is none to be had."""
    pytest.importorskip("pymysql")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    program, install = (
        shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db")
    )
    if program is None or install is None:
        pytest.skip("no MariaDB server is installed")
    common = ["--no-defaults", f"--datadir={folder}/data"]
    common += ["--user=root"] if os.geteuid() == 0 else []
    quick = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    hasty = [
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
    ]  # nobody cuts its power
    subprocess.run([install, *common, *quick], check=True, capture_output=True)
    with Path(folder, "log").open("wb") as log:
        server = subprocess.Popen(
            [program, *common, *hasty, f"--socket={folder}/s", "--skip-networking"], stderr=log
        )
    try:
        yield _created(f"mysql+pymysql://root@localhost/?unix_socket={folder}/s")
    finally:
        server.terminate()
        server.wait(START_S)


def _created(server: str) -> str:
    engine = sqlalchemy.create_engine(server)
    for tries in range(START_S * 10, -1, -1):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("CREATE DATABASE optsearch CHARACTER SET utf8mb4")
            break
        except sqlalchemy.exc.OperationalError:
            if not tries:
                raise
            time.sleep(0.1)
    engine.dispose()
    return server.replace("localhost/", "localhost/optsearch")
