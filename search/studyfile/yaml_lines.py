"""Read YAML 1.2 scalars with the line of every key, so that errors can point at the place."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from search.errors import SpecError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where `1e-4` is a string, `no` is false, and dates and `=` are values
    of a kind that no database keeps; here 1.2's rules hold."""


_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag in _KEPT]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(node.value)  # 1.1 would read 010 as eight


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = node.value
    return float(text.replace(".", "", 1) if text[-1].isalpha() else text)  # .inf, .nan


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def load(text: str, source: str) -> tuple[Any, dict[Path, int]]:
    """Parse one YAML document.

    Returns the plain value and the 1-based line of every path in it.

    Raises:
        SpecError: the text is not YAML, or a key stands twice in one mapping.
    """
    lines: dict[Path, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        value = _value(loader, node, (), lines, source) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise SpecError(f"{place} not valid YAML: {error.problem}; mend this line") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        cause = str(error).splitlines()[0]  # a control character, an endless number, a circle
        raise SpecError(f"{source} not valid YAML: {cause}; mend the file") from error
    return value, lines


def _value(
    loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int], source: str
) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(loader, item, (*path, i), lines, source) for i, item in enumerate(node.value)
        ]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    loader.flatten_mapping(node)  # merge keys (`<<: *base`)
    mapping: dict[str, Any] = {}
    own: set[str] = set()  # merged keys come first, stand elsewhere, and may be replaced
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        line = key_node.start_mark.line + 1
        if key in own:
            raise SpecError(f"{source}:{line} the key '{key}' stands twice; remove one of them")
        if key_node.start_mark.index >= node.start_mark.index:
            own.add(key)
        mapping[key] = _value(loader, value_node, (*path, key), lines, source)
        lines[(*path, key)] = line
    return mapping


def is_number(text: str) -> bool:
    """Whether a text without quotes is read as a number."""
    return bool(_INT.match(text) or _FLOAT.match(text))


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of a path, or of its nearest ancestor that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)
