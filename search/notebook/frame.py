"""What stands around HTML of the live page in a notebook's output: its style, without the page's
links, and pictures that bring their colours, as some viewers drop the style."""

import re
from pathlib import Path

STYLE = Path(__file__).with_name("style.css")
# Each has a contrast of at least 3.8 to white and to the dark of notebooks (#111 to #1e1e1e).
ARMS = ("#3584cc", "#d0600f", "#14946a", "#c45a9a", "#a87800", "#8468d0", "#808080", "#8a8000")
GRAY = "#808080"
_LINES = {  # of charts.Line, and of keys of a legend
    "running": 'stroke-width="2.5"',
    "best": 'stroke-width="2.5"',
    "paused": 'stroke-width="1.5" stroke-dasharray="5 3"',
}
_SAME = {
    'class="chart"': 'class="chart" fill="currentColor" font-size="11"',
    'class="grid"': f'stroke="{GRAY}" stroke-opacity=".35"',
    'class="end"': 'text-anchor="end"',
    'class="mid"': 'text-anchor="middle"',
}
_DRAWN = re.compile(r'class="(line|dot) (\w+) (rest|arm(\d))"')
_LINK = re.compile(r'<a href="/dashboard[^"]*">(.*?)</a>')  # leads nowhere from here


def framed(body: str) -> str:
    """Sections of the live page, as an output of a cell."""
    body = _DRAWN.sub(_dressed, _LINK.sub(r"\1", body))
    for of_the_page, here in _SAME.items():
        body = body.replace(of_the_page, here)
    style = STYLE.read_text(encoding="utf-8")
    return f'<style>{style}</style><div class="optsearch">{body}</div>'


def _dressed(found: re.Match[str]) -> str:
    """The attributes of a line or a dot."""
    shape, kind, arm = found[1], found[2], found[4]
    color = GRAY if kind == "pruned" or arm is None else ARMS[int(arm)]
    if shape == "dot":
        return f'fill="{color}" fill-opacity="{".5" if kind == "pruned" else ".9"}"'
    ended = f'stroke-width="{1.5 if arm else 1}" stroke-opacity="{".85" if arm else ".45"}"'
    width = _LINES.get(kind, ended)
    return f'fill="none" stroke="{color}" {width}'
