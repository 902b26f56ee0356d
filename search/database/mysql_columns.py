"""Optuna's tables on MySQL and MariaDB, made to hold what they hold elsewhere.

A TEXT ends at 64 KB there (a history of 1,500 epochs has more) and a DATETIME at whole seconds;
names are compared without regard to case, accents and spaces at their end, so that the attribute
`LR` would take the place of `lr`, without a word.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy import Connection, Engine, bindparam

_EXACT = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")  # MariaDB, MySQL 8, before it
_COLLATIONS = sqlalchemy.text(
    "SELECT collation_name FROM information_schema.collations WHERE collation_name IN :names"
).bindparams(bindparam("names", expanding=True))
_UNFIT = sqlalchemy.text(
    "SELECT table_name, column_name, data_type, column_type, is_nullable"
    " FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :tables"
    " AND (data_type = 'text' OR data_type = 'datetime' AND datetime_precision = 0"
    " OR data_type IN ('varchar', 'mediumtext') AND collation_name <> :collation)"
).bindparams(bindparam("tables", expanding=True))
_log = logging.getLogger("optsearch")


def fit(engine: Engine) -> None:
    """Change the columns that are too short or inexact; where that is forbidden, say so."""
    if engine.dialect.name not in ("mysql", "mariadb"):
        return
    with engine.connect() as connection:
        try:
            for table, parts in _changes(connection).items():
                connection.exec_driver_sql(f"ALTER TABLE `{table}` {', '.join(parts)}")
        except sqlalchemy.exc.DBAPIError as error:
            _log.warning(
                "storage: a history of more than 64 KB will not fit, and names that differ in case "
                "alone are one: %s; grant ALTER, then run the same command again",
                error.orig,
            )


def _changes(connection: Connection) -> Mapping[str, Sequence[str]]:
    """By table: what ALTER TABLE is to do."""
    known = set(connection.scalars(_COLLATIONS, {"names": _EXACT}))
    collation = next(name for name in _EXACT if name in known)
    tables = list(models.BaseModel.metadata.tables)
    unfit = connection.execute(_UNFIT, {"tables": tables, "collation": collation})
    exact = f" CHARACTER SET utf8mb4 COLLATE {collation}"
    changes = defaultdict(list)
    for table, column, kind, given, is_nullable in unfit:
        wanted = {"datetime": "DATETIME(6)", "varchar": given + exact}.get(
            kind, f"MEDIUMTEXT{exact}"
        )
        null = "NULL" if is_nullable == "YES" else "NOT NULL"
        changes[table].append(f"MODIFY `{column}` {wanted} {null}")
    return changes
