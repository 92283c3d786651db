"""The tests of a manifest, which are counted in a file that only grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..records import AttackRecord, PassRecord
from ..store import append_line, locked, read_lines

__all__ = ["TESTS", "CountedTest", "count_test", "holm_adjusted", "identity_of"]

TESTS = "tests.jsonl"
REPAIR = "the file only grows, and each line counts: restore the line"


@dataclass(frozen=True, slots=True)
class CountedTest:
    """A test of a manifest, without texts, names of documents and dates."""

    identity: str
    """Digest of the models, the attack and the settings."""
    target: str
    """As the user named it."""
    reference: str
    """Empty where the attack takes none."""
    attack: str
    p_value: float


def identity_of(passes: Mapping[str, PassRecord], attack: AttackRecord) -> str:
    """A digest of all that decides the scores of a test: weights, precision, tokenizers, windows, attack."""
    models = {
        name: [
            *(each.model.weights_sha256, each.model.config_sha256, each.model.dtype, each.model.tokenizer),
            *(each.model.temperature, each.window.tokens, each.window.context, dict(each.depends)),
        ]
        for name, each in passes.items()
    }
    formula = [attack.name, attack.revision, dict(attack.settings)]
    return hashlib.sha256(json.dumps([models, formula], sort_keys=True, default=str).encode()).hexdigest()


def count_test(folder: Path, test: CountedTest) -> list[float]:
    """Add *test* to the tests of the manifest in *folder*; returns the p-values of all, that of *test* first.

    A test that is there already counts once. It is the same where models, attack, settings and p-value are: were
    the p-value left out, a model that answers differently each time could be asked until the answer pleases.

    Raises:
        InputError: a line of the file was edited.
        RunDirectoryError: the file cannot be written.
    """
    path = folder / TESTS
    with locked(folder / f".{TESTS}.counting"):
        before = [_parsed(path, number, line) for number, line in enumerate(read_lines(path), start=1)]
        if test not in before:
            append_line(path, json.dumps(asdict(test), ensure_ascii=False))
    return [test.p_value, *(each.p_value for each in before if each != test)]


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """The p-values as Holm's procedure corrects them for their number.

    The probability that any test of a true hypothesis has a corrected p-value of at most u is at most u, however the
    tests depend on each other (Holm 1979, Scandinavian Journal of Statistics 6:65).

    >>> holm_adjusted([0.04, 0.01, 0.02])
    [0.04, 0.03, 0.04]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _parsed(path: Path, number: int, line: str) -> CountedTest:
    try:
        entry: Any = json.loads(line)
        test = CountedTest(**entry)
        whole = all(isinstance(value, str) for value in (test.identity, test.target, test.reference, test.attack))
        if whole and type(test.p_value) is float and 0 < test.p_value <= 1:
            return test
    except (ValueError, TypeError, RecursionError):
        pass
    raise InputError(f"{path} line {number}: is no counted test; {REPAIR}")
