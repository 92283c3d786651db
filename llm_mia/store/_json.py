"""Records as JSON and back: typed, and without loss.

What JSON has no word for is written like this, and read back by the type that the field is declared with:

* a float that is not finite: the string ``NaN``, ``Infinity`` or ``-Infinity``; where the declared type also allows
  strings, or any value at all, ``{"float": "NaN"}``, so that it is not taken for a string
* an array: a list, which becomes an array of the declared type
* an enum: its value; a path: its text; a tuple: a list, which becomes a tuple where the field is declared so
* a field declared as ``Sequence`` comes back as a list, a field declared as ``Mapping`` as a dictionary
* a field declared as ``Any`` takes JSON values only: no tuple, because it would come back as a list
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

import numpy as np

from ..errors import LlmMiaError
from ..records import MAY_BE_MISSING, SCHEMA_VERSION

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["RecordError", "from_json", "read_record", "to_json"]

T = TypeVar("T")

VERSION = "schema_version"
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class RecordError(ValueError):
    """A text that is not the JSON form of a record; the message is a single line, without the place."""


def to_json(record: object) -> str:
    """The JSON text of a dataclass, indented, with the schema version as its first entry.

    `from_json` gives an equal record back.

    Raises:
        TypeError: a field holds what its declared type does not allow, or what JSON cannot hold.

    >>> from llm_mia.records import Interval
    >>> print(to_json(Interval(0.5, 0.25, float("inf"))))
    {
      "schema_version": 5,
      "value": 0.5,
      "low": 0.25,
      "high": "Infinity",
      "confidence": 0.95
    }
    <BLANKLINE>
    """
    entries = {VERSION: SCHEMA_VERSION, **_converter().unstructure(record)}
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(kind: type[T], text: str | bytes) -> T:
    """The record of type *kind* that `to_json` has written.

    Raises:
        RecordError: the text is not JSON, is of another schema version, or has an entry too many, too few, or of
            another type.

    >>> from llm_mia.records import Interval
    >>> from_json(Interval, to_json(Interval(0.5, 0.25, float("inf"))))
    Interval(value=0.5, low=0.25, high=inf, confidence=0.95)
    """
    from cattrs import BaseValidationError, transform_error

    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("is not JSON") from None
    if not isinstance(entries, dict) or VERSION not in entries:
        raise RecordError("names no schema version")
    version = entries[VERSION]
    if version != SCHEMA_VERSION:
        raise RecordError(f"has schema version {version!r}, and this release reads {SCHEMA_VERSION}")
    if VERSION not in {field.name for field in dataclasses.fields(kind)}:  # type: ignore[arg-type]
        del entries[VERSION]
    try:
        return _converter().structure(entries, kind)
    except (BaseValidationError, ValueError, TypeError) as error:
        first = transform_error(error, path="record", format_exception=lambda error, _: str(error))[0]
        raise RecordError(f"is damaged ({first})") from None


def read_record(kind: type[T], path: Path, error: type[LlmMiaError], advice: str) -> T:
    """The record in the file *path*.

    Args:
        kind: the type of the record.
        path: the file.
        error: the class of the error that is raised where the file cannot be read.
        advice: what the user is to do then, the last words of the message.
    """
    try:
        return from_json(kind, path.read_bytes())
    except FileNotFoundError:
        raise error(f"{path}: no such file; {advice}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}); {advice}") from None
    except RecordError as problem:
        raise error(f"{path}: {problem}; {advice}") from None


@cache
def _converter() -> Converter:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (bool, int, str):
        # By predicate: a hook that is registered for a class also takes its subclasses, enums among them.
        converter.register_unstructure_hook_func(partial(operator.is_, kind), kind)
        converter.register_structure_hook(kind, _exactly)
    converter.register_unstructure_hook_func(partial(operator.is_, float), _float_out)
    converter.register_structure_hook(float, _float_in)
    converter.register_unstructure_hook_func(_is_any, _any_out)
    converter.register_structure_hook_func(_is_any, lambda value, _: _any_in(value))
    converter.register_unstructure_hook_func(_is_scalars, _any_out)
    converter.register_structure_hook_func(_is_scalars, _scalar_in)
    converter.register_unstructure_hook_func(_is_array, lambda array: _nested(array.tolist(), _float_out))
    converter.register_structure_hook_func(_is_array, _array_in)
    hook = partial(_record_or_number_hook, converter=converter)
    converter.register_structure_hook_factory(_is_record_or_number, hook)
    converter.register_structure_hook_factory(_is_list, lambda kind: _list_hook(kind, converter))
    converter.register_structure_hook_factory(_is_mapping, lambda kind: _mapping_hook(kind, converter))
    converter.register_structure_hook_factory(dataclasses.is_dataclass, lambda kind: _record_hook(kind, converter))
    return converter


def _record_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Reads a dataclass; a missing entry is an error, whatever default the field has, but for `MAY_BE_MISSING`."""
    from cattrs.gen import make_dict_structure_fn

    structure = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)
    names = [field.name for field in dataclasses.fields(kind) if field.init and MAY_BE_MISSING not in field.metadata]

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise RecordError(f"{value!r:.40} is not of type {kind.__name__}")
        missing = [name for name in names if name not in value]
        if missing:
            raise RecordError(f"{missing[0]!r} is missing from {kind.__name__}")
        return structure(value, kind)

    return hook


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (Sequence, list)


def _list_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], list[Any]]:
    item = get_args(kind)[0]
    structure = converter.get_structure_hook(item)

    def hook(value: Any, _: Any) -> list[Any]:
        if not isinstance(value, list):
            raise RecordError(f"{value!r:.40} is not a list")
        return [structure(entry, item) for entry in value]

    return hook


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (Mapping, dict)


def _mapping_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], dict[Any, Any]]:
    key, item = get_args(kind)
    structure_key, structure = converter.get_structure_hook(key), converter.get_structure_hook(item)

    def hook(value: Any, _: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise RecordError(f"{value!r:.40} is not a mapping")
        # JSON knows no keys but strings.
        keys = (key(name) if key in (int, float) else name for name in value)
        return {
            structure_key(name, key): structure(entry, item) for name, entry in zip(keys, value.values(), strict=True)
        }

    return hook


def _exactly(value: Any, kind: type[T]) -> T:
    if issubclass(kind, Enum):
        return kind(value)
    if type(value) is not kind:
        raise RecordError(f"{value!r:.40} is not of type {kind.__name__}")
    return value


def _float_out(value: Any) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _float_in(value: Any, _: Any = float) -> float:
    if type(value) in (int, float):
        return float(value)
    if isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    raise RecordError(f"{value!r:.40} is not a number")


def _is_any(kind: Any) -> bool:
    return kind is Any or kind is object


def _is_scalars(kind: Any) -> bool:
    """Whether *kind* is a union of two or more of str, bool, int and float, with or without None."""
    if get_origin(kind) not in (Union, UnionType):
        return False
    kinds = {*get_args(kind)} - {NoneType}
    return len(kinds) > 1 and kinds <= {str, bool, int, float}


def _scalar_in(value: Any, kind: Any) -> Any:
    value = _any_in(value)
    kinds = get_args(kind)
    if type(value) in kinds:
        return value
    if type(value) is int and float in kinds:
        return float(value)
    raise RecordError(f"{value!r:.40} is not of type {kind}")


def _any_out(value: Any) -> Any:
    """A JSON value, numpy's scalars as Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": _float_out(value)}
    if isinstance(value, list):
        return [_any_out(entry) for entry in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {str(name): _any_out(entry) for name, entry in value.items()}
    raise TypeError(f"{value!r:.40} is no JSON value, and its field does not declare what it is")


def _any_in(value: Any) -> Any:
    if isinstance(value, list):
        return [_any_in(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"float"} and value["float"] in NOT_FINITE:
        return NOT_FINITE[value["float"]]
    return {name: _any_in(entry) for name, entry in value.items()}


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is np.ndarray or kind is np.ndarray


def _array_in(value: Any, kind: Any) -> Any:
    dtype = np.dtype(get_args(get_args(kind)[1])[0])
    if not isinstance(value, list):
        raise RecordError(f"{value!r:.40} is not a list")
    if dtype.kind == "f":
        value = _nested(value, _float_in)
    array = np.array(value) if value else np.empty(0, dtype)
    if array.dtype.kind != dtype.kind and not (dtype.kind == "f" and array.dtype.kind == "i"):
        raise RecordError(f"{value!r:.40} is not an array of {dtype}")
    return array.astype(dtype)


def _is_record_or_number(kind: Any) -> bool:
    """Whether *kind* is a union of a dataclass and float, with or without None."""
    kinds = {*get_args(kind)} - {NoneType} if get_origin(kind) in (Union, UnionType) else set()
    return len(kinds) == 2 and float in kinds and any(map(dataclasses.is_dataclass, kinds))


def _record_or_number_hook(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    record = next(each for each in get_args(kind) if dataclasses.is_dataclass(each))
    structure = converter.get_structure_hook(record)

    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, dict):
            return structure(value, record)
        return None if value is None and NoneType in get_args(kind) else _float_in(value)

    return hook


def _nested(values: Any, convert: Callable[[Any], Any]) -> Any:
    """*values*, with *convert* applied to each number in lists of lists."""
    if isinstance(values, list):
        return [_nested(entry, convert) for entry in values]
    return convert(values) if isinstance(values, float | str) else values
