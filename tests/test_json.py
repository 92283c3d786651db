"""Records as JSON: whatever a record holds comes back equal and of the same type, and nothing else is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from llm_mia.errors import RunDirectoryError
from llm_mia.records import (
    SCHEMA_VERSION,
    AttackRecord,
    BlockSize,
    FilesRecord,
    InputRecord,
    Interval,
    ModelRecord,
    Note,
    PassRecord,
    RunRecord,
    WindowRule,
)
from llm_mia.store import RecordError, from_json, read_record, to_json


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Everything:
    floats: NDArray[np.float64]
    small: NDArray[np.float32]
    integers: NDArray[np.int32]
    flags: NDArray[np.bool_]
    texts: Sequence[str]
    pair: tuple[float, float]
    numbers: tuple[int, ...]
    values: Mapping[str, Any]
    setting: float | str
    either: Interval | None
    colour: Colour
    path: Path
    number: float
    count: int
    good: bool
    intervals: Mapping[str, Interval]
    by_number: Mapping[int, str] = field(default_factory=dict)


EVERYTHING = Everything(
    floats=np.array([0.1, -0.0, math.inf, -math.inf, 5e-324]),
    small=np.array([0.1, math.nan], np.float32),
    integers=np.array([2**31 - 1, -(2**31)], np.int32),
    flags=np.array([True, False]),
    texts=["ü", "\u2028", "", '"'],
    pair=(1.0, math.inf),
    numbers=(1, 2),
    values={"a": math.inf, "b": [None, True, 1, 2.5, "NaN"], "c": {"d": {}}},
    setting="Infinity",
    either=Interval(0.1, -math.inf, 1 / 3),
    colour=Colour.RED,
    path=Path("a/b"),
    number=1e308,
    count=10**30,
    good=True,
    intervals={"x": Interval(1.0, 0.0, 2.0)},
    by_number={3: "three"},
)


def test_everything_comes_back_equal_and_of_the_same_type() -> None:
    text = to_json(EVERYTHING)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back = from_json(Everything, text)
    for entry in fields(Everything):
        before, after = getattr(EVERYTHING, entry.name), getattr(back, entry.name)
        assert type(before) is type(after) or isinstance(before, Path), entry.name
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            assert before.tobytes() == after.tobytes(), "the sign of zero, and every bit"
        else:
            assert before == after, entry.name
    assert to_json(back) == text


def test_numbers_of_numpy_become_numbers() -> None:
    record = Interval(np.float64(0.25), np.float32(0.5), np.int64(1))  # type: ignore[arg-type]
    assert from_json(Interval, to_json(record)) == Interval(0.25, 0.5, 1.0)
    note = Note(Colour.RED, {"n": np.int64(3), "p": np.float64(0.5), "is": np.bool_(True), "nan": np.float64("inf")})
    assert from_json(Note, to_json(note)) == Note("red", {"n": 3, "p": 0.5, "is": True, "nan": math.inf})


def test_nan_is_read_as_nan() -> None:
    back = from_json(Note, to_json(Note("k", {"deep": [{"x": math.nan}]})))
    assert math.isnan(back.figures["deep"][0]["x"])
    assert math.isnan(from_json(Interval, to_json(Interval(math.nan, 0.0, 1.0))).value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.floats(allow_nan=False), st.text())
def test_any_run_comes_back(values: dict[str, Any], number: float, text: str) -> None:
    model = ModelRecord(text, None, "w", "c", "float32", "t", 1024)
    of_target = PassRecord(model, WindowRule(1024, 256), BlockSize(4096, 65536), FilesRecord(None, "auto"), values)
    attack = AttackRecord("min_k:k=0.1", 3, {"k": number, "by": text}, ("target",))
    run = RunRecord(
        {"target": of_target, text: of_target},
        (attack,),
        values,
        (InputRecord(text, "s", 3, (text,)),),
        {},
        {"target": 0.1},
    )
    assert from_json(RunRecord, to_json(run)) == run


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, object(), np.zeros(3), {1, 2}, b"x"])
def test_what_would_come_back_as_something_else_is_not_written(value: object) -> None:
    with pytest.raises(TypeError, match="is no JSON value"):
        to_json(Note("k", {"value": value}))


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "an entry too many": ({"more": 1}, "Extra fields .*: more @ record"),
    "a text for a number": ({"number": "1"}, "'1' is not a number @ record.number"),
    "a truth for a number": ({"number": True}, "True is not a number"),
    "a text for an integer": ({"count": "1"}, "'1' is not of type int @ record.count"),
    "a fraction for an integer": ({"count": 1.5}, "1.5 is not of type int"),
    "a truth for an integer": ({"count": True}, "True is not of type int"),
    "a number for a truth": ({"good": 1}, "1 is not of type bool"),
    "a number for a text": ({"texts": ["a", 1]}, "1 is not of type str @ record.texts"),
    "a text for a list": ({"texts": "abc"}, "'abc' is not a list @ record.texts"),
    "a text in an array": ({"floats": [0.1, "x"]}, "'x' is not a number @ record.floats"),
    "fractions for integers": ({"integers": [0.5]}, "is not an array of int32 @ record.integers"),
    "no list for an array": ({"floats": 3}, "3 is not a list @ record.floats"),
    "no such value": ({"colour": "blue"}, "'blue' is not a valid Colour @ record.colour"),
    "a list for a record": ({"either": [1]}, "is not of type Interval @ record.either"),
    "half a record": ({"either": {"value": 1.0}}, "'low' is missing from Interval @ record.either"),
    "a list for a mapping": ({"intervals": []}, r"\[\] is not a mapping @ record.intervals"),
    "too few for a tuple": ({"pair": [1.0]}, "@ record.pair"),
    "null": ({"number": None}, "None is not a number"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_nothing_else_is_read(change: dict[str, Any], message: str) -> None:
    entries = json.loads(to_json(EVERYTHING))
    with pytest.raises(RecordError, match=message) as refused:
        from_json(Everything, json.dumps({**entries, **change}))
    assert str(refused.value).startswith("is damaged (")
    assert "\n" not in str(refused.value)


def test_no_default_stands_in_for_what_is_missing() -> None:
    entries = json.loads(to_json(EVERYTHING))
    for name in entries:
        less = {key: value for key, value in entries.items() if key != name}
        with pytest.raises(RecordError, match="names no schema version" if name == "schema_version" else repr(name)):
            from_json(Everything, json.dumps(less))


def test_a_file_is_refused_in_a_line_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "i.json"
    for content, problem in (
        (None, "no such file"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "names no schema version"),
        (to_json(Interval(0.5, 0.0, 1.0)).replace(f": {SCHEMA_VERSION},", ": 99,").encode(), "has schema version 99"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RunDirectoryError) as refused:
            read_record(Interval, path, RunDirectoryError, "make it again")
        assert str(refused.value).startswith(f"{path}: {problem}")
        assert str(refused.value).endswith("; make it again")
