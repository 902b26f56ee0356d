"""The JSON Schema of a study file: pydantic's of `StudySpec`, with what knobs may be.

It tells less than `validate`: what two keys must be together only `validate` knows. Nothing that
is right is refused by it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from search.studyfile.described import Description, Knob, plain, reader_words
from search.studyfile.spec import StudySpec

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that every editor knows


class _Plain(GenerateJsonSchema):
    """Without titles that only repeat the key, and with pairs as draft 7 writes them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        pair = super().tuple_schema(schema)
        return {**pair, "items": pair.pop("prefixItems")[0]}


def of_file(
    components: Mapping[str, Schema], objective: str, description: Description | None
) -> Schema:
    """The schema of a study file.

    Args:
        components: what `strategy`, `sampler` and `pruner` may be.
        objective: whose knobs are known; settings of any other are free.
        description: None where it says nothing of its knobs.
    """
    made = StudySpec.model_json_schema(schema_generator=_Plain)
    definitions, properties = made.pop("$defs"), made.pop("properties")
    del properties["folder"], definitions["Component"]
    for key, component in components.items():
        properties[key] = {"description": properties[key]["description"], **component}
    definitions["Parameter"] = properties["space"]["additionalProperties"]
    properties["space"]["additionalProperties"] = {"$ref": "#/$defs/Parameter"}
    rules = [_enumerates()]
    if description is not None:
        definitions |= _definitions(description)
        rules.append(_when_objective(objective, description))
    return {
        "$schema": DIALECT,
        "title": "A study file of optsearch",
        "type": "object",
        "required": ["objective"],
        "properties": properties,
        "additionalProperties": False,
        "allOf": rules,
        "$defs": definitions,
    }


def _enumerates() -> Schema:
    """`configurations` stands in place of a space."""
    listed = {"properties": {"configurations": {"minItems": 1}}, "required": ["configurations"]}
    empty = {"space": {"maxProperties": 0}, "baselines": {"maxItems": 0}}
    return {"if": listed, "then": {"properties": empty}}


def _when_objective(objective: str, description: Description) -> Schema:
    """Under this objective there are these knobs and no others, and some must be given."""
    listed = {"items": {"properties": {"params": {"$ref": "#/$defs/Knobs"}}}}
    space = {"additionalProperties": False} | {
        "properties": {knob.name: _searched(knob) for knob in description.knobs},
        **_parts(description, lambda _: {"$ref": "#/$defs/Parameter"}),
    }
    return {
        "if": {"properties": {"objective": {"const": objective}}, "required": ["objective"]},
        "then": {
            "properties": {
                "settings": {"$ref": "#/$defs/Knobs"},
                "space": space,
                "baselines": listed,
                "configurations": listed,
            },
            "allOf": [_given(knob.name) for knob in description.knobs if knob.required],
        },
    }


def _definitions(description: Description) -> dict[str, Schema]:
    knobs = {knob.name: _value(knob, description) for knob in description.knobs}
    conditions = {
        knob.name: {"type": "array", "items": knob.json_schema, "minItems": 1}
        for knob in description.knobs
    }
    return {
        "Knobs": {
            "type": "object",
            "properties": knobs,
            "additionalProperties": False,
            **_parts(description, lambda schema: schema),
        },
        "When": {
            "type": ["object", "null"],
            "properties": conditions,
            "additionalProperties": False,
            **_parts(description, lambda schema: {"type": "array", "items": schema, "minItems": 1}),
        },
    }


def _parts(description: Description, schema_of: Callable[[Schema], Schema]) -> Schema:
    """Parts of a knob that are knobs by themselves, NAME.PART."""
    patterns = {
        rf"^{knob.name}\.": schema_of(knob.parts)
        for knob in description.knobs
        if knob.parts is not None
    }
    return {"patternProperties": patterns} if patterns else {}


def _value(knob: Knob, description: Description) -> Schema:
    """What a knob may be, and in words what it is and who reads it."""
    readers = reader_words(knob, description)
    own = [item for choices in knob.own_defaults.values() for item in choices.items()]
    told = [
        knob.about,
        f"read by {readers}" if readers else "",
        ", ".join(f"{plain(value)} for {choice}" for choice, value in own),
    ]
    default = {} if knob.default is None else {"default": knob.default}
    return {**knob.json_schema, "description": "; ".join(filter(None, told)), **default}


def _searched(knob: Knob) -> Schema:
    """A parameter of the space: a range only where the knob is a number, whole where it is."""
    kinds = {str(part.get("type")) for part in knob.json_schema.get("anyOf", [knob.json_schema])}
    kinds |= {str(kind) for kind in _listed(knob.json_schema.get("type"))}
    values = {"items": knob.json_schema}
    return {
        "description": knob.about,
        "allOf": [{"$ref": "#/$defs/Parameter"}],
        "properties": {
            "choice": values,
            "float": values if "number" in kinds else False,
            "int": values if kinds & {"number", "integer"} else False,
            "when": {"$ref": "#/$defs/When"},
        },
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _given(name: str) -> Schema:
    """A knob without a default stands in the settings, in the space, or in each configuration."""
    return {
        "anyOf": [
            {"properties": {place: {"required": [name]}}, "required": [place]}
            for place in ("settings", "space")
        ]
        + [{"required": ["configurations"]}]
    }
