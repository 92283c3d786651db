"""JSON Schemas of types: a record's properties and their descriptions come from its dataclass."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

__all__ = [
    "NOTES",
    "STANDING",
    "VERSION",
    "Definitions",
    "Schema",
    "by_name",
    "closed",
    "described",
    "field_texts",
    "first_sentence",
    "hint",
    "number",
    "or_null",
    "rows",
    "text",
    "texts",
    "truth",
]

Schema = dict[str, Any]
PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
    type(None): {"type": "null"}, Path: {"type": "string"}, Any: {},
}  # fmt: skip


class Definitions:
    """The records that a schema refers to, each described once under ``$defs``."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type."""
        origin, inner = get_origin(kind), get_args(kind)
        if kind in PLAIN:
            return dict(PLAIN[kind])
        if origin in (Union, types.UnionType):
            return self._union(inner)
        if origin is Literal:
            return {"enum": list(inner)}
        if origin is tuple and len(inner) > 1 and inner[1] is not ...:
            return {"type": "array", "prefixItems": [self.of(each) for each in inner], "items": False}
        if origin in (tuple, list, Sequence):
            return {"type": "array", "items": self.of(inner[0])}
        if origin is np.ndarray:
            return {"type": "array", "items": {"type": "number"}}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if issubclass(kind, Enum):
            return {"enum": [member.value for member in kind]}
        return self.record(kind)

    def _union(self, kinds: Sequence[Any]) -> Schema:
        schemas = [self.of(kind) for kind in kinds]
        if all(schema.keys() == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        return {"anyOf": schemas}

    def record(self, kind: Any, name: str = "", without: Sequence[str] = (), **more: Schema) -> Schema:
        """A reference to the schema of a dataclass, *without* some of its fields, and with *more* properties."""
        name = name or kind.__name__
        if name not in self.schemas:
            self.schemas[name] = {}  # a record may hold records of its kind
            hints, texts = get_type_hints(kind), field_texts(kind)
            properties = {
                field.name: described(self.of(hints[field.name]), texts.get(field.name, ""))
                for field in dataclasses.fields(kind)
                if field.name not in without and field.name not in more
            }
            self.schemas[name] = closed({**properties, **more}, first_sentence(kind.__doc__ or ""))
        return {"$ref": f"#/$defs/{name}"}


def closed(properties: Mapping[str, Schema], description: str = "", optional: Sequence[str] = ()) -> Schema:
    """An object with these properties and no others; all but the *optional* are always there."""
    required = [name for name in properties if name not in optional]
    schema: Schema = {"type": "object", "properties": dict(properties), "required": required}
    return described({**schema, "additionalProperties": False}, description)


def described(schema: Schema, text: str) -> Schema:
    """*schema* with a description."""
    return {"description": text, **schema} if text else schema


def first_sentence(text: str) -> str:
    """The first sentence of a docstring."""
    return " ".join(text.split("\n\n")[0].split())


def field_texts(kind: type) -> dict[str, str]:
    """By field of a dataclass: the docstring below it."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = " ".join(str(below.value.value).replace("``", "'").split())
    return texts


def hint(kind: type, field: str) -> Any:
    """The declared type of a field; of an optional field without None, of a mapping or sequence its elements."""
    declared = get_type_hints(kind)[field]
    while not isinstance(declared, type):
        declared = next(each for each in reversed(get_args(declared)) if each not in (type(None), ...))
    return declared


def text(description: str) -> Schema:
    """A string."""
    return {"description": description, "type": "string"}


def number(description: str, *, whole: bool = False, null: bool = False) -> Schema:
    """A number; *whole*: an integer; *null*: or null."""
    kind = "integer" if whole else "number"
    return described({"type": [kind, "null"] if null else kind}, description)


def truth(description: str) -> Schema:
    """True or false."""
    return described({"type": "boolean"}, description)


def texts(description: str) -> Schema:
    """Strings."""
    return described({"type": "array", "items": {"type": "string"}}, description)


def by_name(description: str, of: Schema) -> Schema:
    """An object with any names, whose values are described by *of*."""
    return {"description": description, "type": "object", "additionalProperties": of}


def rows(description: str, of: Schema) -> Schema:
    """An array of what *of* describes."""
    return described({"type": "array", "items": of}, description)


def or_null(schema: Schema, description: str) -> Schema:
    """What *schema* describes, or null."""
    return {"description": description, "anyOf": [schema, {"type": "null"}]}


STANDING: Schema = {
    "description": "Whether the known set can carry a verdict; 'not_validated' where nothing checked it.",
    "enum": ["sound", "not_checked", "doubtful", "void", "untestable", "accepted", "not_validated"],
}
NOTES = texts("What a reader ought to know, a sentence each.")
VERSION = number("Version of the records; it is raised when a field changes its meaning.", whole=True)
