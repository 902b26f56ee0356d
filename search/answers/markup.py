"""Pieces of HTML. Whatever comes from a database is escaped here."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any


def section(title: str, *parts: str, kind: str = "") -> str:
    """A heading over its parts; "" where there are none."""
    inner = "\n".join(filter(None, parts))
    shown = f' class="{kind}"' if kind else ""
    return f"<section{shown}>\n<h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def words(text: str) -> str:
    """A sentence; what is in backticks in it is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def paragraph(text: str, kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f"<p{shown}>{words(text)}</p>" if text else ""


def listed(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{words(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def table(rows: Sequence[Mapping[str, str]], kind: str = "plain") -> str:
    """Rows of equal columns; those that look like figures stand on the right.

    Args:
        kind: `tight` cells keep to one line; a `bare` table has no heads.
    """
    if not rows:
        return ""
    kinds = {
        c: ' class="number"' if all(_is_figure(row[c]) for row in rows) else "" for c in rows[0]
    }
    head = "".join(f"<th{kinds[c]}>{escape(c)}</th>" for c in rows[0])
    lines = (
        "<tr>" + "".join(f"<td{kinds[c]}>{escape(row[c])}</td>" for c in rows[0]) + "</tr>"
        for row in rows
    )
    heads = "" if kind == "bare" else f"<tr>{head}</tr>"
    return f'<div class="wide"><table class="{kind}">{heads}{"".join(lines)}</table></div>'


def _is_figure(text: str) -> bool:
    return text in ("-", "never") or text[:1].isdigit() or text[:1] in "-."


def commands(*lines: str) -> str:
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def script(value: Any) -> str:
    """JSON that may stand in a script: no text in it can end the script, nor begin a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
