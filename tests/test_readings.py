"""How often an audit reads its sources.

A source is read

* once before any model is loaded: this reading finds bad input, notes what `check_inputs` compares, and holds the
  passages that the checks of the known set look at. It must come first, so that bad input fails before a model loads.
* once for each pass of each model. Models are in memory one after another, and a pass takes the texts in order; they
  are not kept in between, because memory must not grow with the input.
* the candidates once more after the decision, for the texts that people read in the report.
* once for the table of scores, because attacks such as ``zlib`` take the text, and the text is needed together with the
  signals of all passes.

So an audit by attacks that take a pass of the target and one of the reference reads each source four times (the
candidates five times), and its bytes once more for the digest in run.json. A finished audit that is repeated makes no
pass; it reads a source before anything else, to see that the signals are those of its passages, and for the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llm_mia import audit
from llm_mia.auditing import KnownTexts
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages, check_inputs
from llm_mia.signals import Supplies

from .conftest import sentences

BEFORE_MODELS, TABLE, PASSES = 1, 1, 2
NEEDED = BEFORE_MODELS + PASSES + TABLE
TEXTS = 1
"""Of the candidates, after the decision."""


class CountingReader:
    """Counts how often all rows, or some of them, are read."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.readings = self.digests = 0

    def drafts(self, tally: Any) -> Iterator[Any]:
        self.readings += 1
        return iter(self.reader.drafts(tally))

    def sha256(self) -> str:
        self.digests += 1
        return str(self.reader.sha256())

    def version(self) -> object:
        return self.reader.version()


class Sources:
    """Members, non-members and candidates that count their readings."""

    def __init__(self, candidates: list[str] | None = None) -> None:
        texts = sentences(180, seed=40)
        self.members = Passages.of(texts[:40], label=1, name="members")
        self.nonmembers = Passages.of(texts[40:140], label=0, name="non-members")
        self.candidates = Passages.of(texts[140:] + (candidates or []), name="candidates")
        self.readers = []
        for source in (self.members, self.nonmembers, self.candidates):
            self.readers.append(CountingReader(source.reader))
            source.reader = self.readers[-1]

    def audit(self, out: Path, attacks: Sequence[str] = ("reference", "min_k"), **options: Any) -> None:
        audit(
            self.candidates,
            members=self.members,
            nonmembers=self.nonmembers,
            target=FakeBackend(0),
            reference=FakeBackend(1),
            attacks=attacks,
            out=out,
            **options,
        )

    def readings(self) -> list[int]:
        return [reader.readings for reader in self.readers]


def test_an_audit_reads_each_source_as_often_as_it_must(tmp_path: Path) -> None:
    sources = Sources()
    sources.audit(tmp_path / "run")
    assert sources.readings() == [NEEDED, NEEDED, NEEDED + TEXTS]
    assert [reader.digests for reader in sources.readers] == [1] * 3
    sources.audit(tmp_path / "run")
    again = BEFORE_MODELS + 1 + TABLE
    assert sources.readings() == [NEEDED + again, NEEDED + again, NEEDED + again + 2 * TEXTS]


def test_texts_that_repeat_take_a_part_of_a_reading_to_be_named(tmp_path: Path) -> None:
    sources = Sources(candidates=["twice", "twice"])
    sources.audit(tmp_path / "run")
    assert sources.readings() == [NEEDED, NEEDED, NEEDED + TEXTS + 1]


def test_a_large_set_is_read_twice_to_be_checked_for_its_size_is_known_at_the_end() -> None:
    sources = Sources()
    texts = KnownTexts.read([sources.members, sources.nonmembers, sources.candidates], most=60)
    assert sources.readings() == [1, 2, 1]
    assert len(texts.passages) == 40 + 60 + 40
    assert texts.rows[40:43].tolist() == [40, 41, 43], "evenly spaced among 100"
    (note,) = texts.notes
    assert note.figures == {"source": "non-members", "checked": 60, "passages": 100}
    check = check_inputs([sources.members, sources.nonmembers, sources.candidates])
    assert [counts.passages for counts in check.sources] == [40, 100, 40]
    assert sources.readings() == [1, 2, 1], "the check needs no reading"


def test_supplies_are_read_once_and_the_population_for_its_passes_too(tmp_path: Path) -> None:
    """No reading serves only to see that no supply is scored: the digests of the texts are compared."""
    shots, population = Passages.of(sentences(3, seed=41), name="shots"), Passages.of(sentences(9, seed=42))
    counted = []
    for supply in (shots, population):
        supply.reader = CountingReader(supply.reader)
        counted.append(supply.reader)
    sources = Sources()
    sources.audit(tmp_path / "run", attacks=["rmia", "recall"], supplies=Supplies(shots=shots, population=population))
    contents, passes, means = 1, 2, 1
    assert [reader.readings for reader in counted] == [1, contents + passes + means]
    assert sources.readings() == [NEEDED + 1, NEEDED + 1, NEEDED + 1 + TEXTS], "attack recall takes a third pass"
