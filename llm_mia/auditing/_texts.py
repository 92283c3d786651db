"""The texts of an audit's inputs, and later their scores, for the checks of `llm_mia.validity`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..attacks import parse_attack
from ..backends import ngram
from ..decision import NoteKind
from ..passages import Passages, PassageSource, check_inputs, to_passages
from ..records import Note, Passage
from ..scores import UNKNOWN, ScoreTable
from ..validity import KnownScores, KnownSet, RequestedRates, Validity
from ._possible import possible_decisions
from ._same_texts import refuse_few_texts, refuse_same_sources, refuse_same_texts

__all__ = ["KnownTexts", "read", "validate"]

MOST = 50_000
"""Passages of a set that are held in memory and checked."""
NAMES = {1: "members", 0: "non-members", None: "candidates"}
"""What messages call a set that is given as data in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownTexts:
    """What an audit's checks look at: the passages of all sets, and their rows in its table of scores."""

    passages: Sequence[Passage]
    """Members, non-members and candidates, in the order of the inputs."""
    rows: NDArray[np.intp]
    """Shape (passages,): the row of each in the table of scores."""
    notes: tuple[Note, ...]
    sources: Mapping[int | None, Passages]
    """By label."""

    @classmethod
    def read(
        cls, sources: Sequence[Passages], *, labels: Sequence[int | None] | None = None, most: int = MOST
    ) -> KnownTexts:
        """The passages of all *sources*; of a set of more than *most* as many, evenly spaced.

        *labels* are those of the sources; None: the last two sources are the non-members and the candidates.

        A source is read once here, and a source of more than *most* passages twice: which of them are evenly spaced is
        known only at its end. `check_inputs` on the same sources then needs no reading.
        """
        kept, rows, notes, first = list[Passage](), list[int](), list[Note](), 0
        for source in sources:
            passages, spaced, total = _evenly_spaced(source, most)
            if len(spaced) < total:
                figures = {"source": source.name, "checked": len(spaced), "passages": total}
                notes.append(Note(NoteKind.CHECKS_ON_SAMPLE, figures))
            kept += passages
            rows += (first + spaced).tolist()
            first += total
        by_label = dict(zip((1, 0, None)[-len(sources) :] if labels is None else labels, sources, strict=True))
        return cls(kept, np.array(rows, dtype=np.intp), tuple(notes), by_label)

    def refuse_repeats(self, rates: RequestedRates) -> None:
        """Refuse sets that hold the same texts, and non-members that are enough only by repeats.

        Raises:
            PassageError: more than half of a set have the text of a passage of another set.
            CalibrationError: too few different texts of non-members for the rate.
        """
        refuse_same_texts(self.passages, {label: source.name for label, source in self.sources.items()})
        if self.notes:  # only samples were compared
            refuse_same_sources(self.sources)
        nonmembers = [self.passages[at] for at in self._of(0)]
        refuse_few_texts(nonmembers, self.sources[0].name, rates.fpr, rates.confidence)

    def known_set(self, rates: RequestedRates) -> KnownSet:
        """The passages, to be checked without and with their scores.

        Raises:
            PassageError: a class has only one document.
        """
        members, nonmembers, candidates = ([self.passages[at] for at in self._of(label)] for label in (1, 0, None))
        return KnownSet(members, nonmembers, candidates, rates=rates)

    def scores(self, table: ScoreTable) -> KnownScores:
        """Their scores in the order in which `known_set` holds them."""
        return _scores(table, {label: self.rows[self._of(label)] for label in (1, 0, None)})

    def table(self) -> ScoreTable:
        """The passages as a table without scores."""
        return _table(self.passages)

    def _of(self, label: int | None) -> list[int]:
        return [at for at, passage in enumerate(self.passages) if passage.label == label]


def validate(
    members: PassageSource | None,
    nonmembers: PassageSource,
    candidates: PassageSource | None = None,
    *,
    rates: RequestedRates | None = None,
    report_possible: Callable[[Note], None] | None = None,
) -> Validity:
    """Whether a known set may carry a verdict; its texts are checked, and no model is needed.

    Args:
        members: passages known to be in the training data: a path, `Passages`, or what `Passages.of` takes; may be
            None where there are candidates.
        nonmembers: passages known not to be in it.
        candidates: the passages to be decided on, if they are known already.
        rates: the error rates that the known set has to certify (None: FPR ≤ 0.05).
        report_possible: called first, where there are candidates, with a note on which decisions the input allows.

    Raises:
        PassageError: a file cannot be read, a class has only one document, a text is both among members and among
            non-members, or two sets hold mainly the same texts.
    """
    sets = ((members, 1), (nonmembers, 0), (candidates, None))
    sources = {label: read(source, label) for source, label in sets if source is not None}
    passages = {label: list(sources[label]) if label in sources else [] for _, label in sets}
    refuse_same_texts(
        [passage for each in passages.values() for passage in each],
        {label: source.name for label, source in sources.items()},
    )
    check_inputs(list(sources.values()))
    if candidates is not None and report_possible is not None:
        texts = [passage for each in passages.values() for passage in each]
        report_possible(possible_decisions(_table(texts), rates or RequestedRates()))
    return KnownSet(passages[1], passages[0], passages[None], rates=rates).validity()


def _table(passages: Sequence[Passage]) -> ScoreTable:
    labels = [UNKNOWN if passage.label is None else passage.label for passage in passages]
    ids, documents = [passage.id for passage in passages], [passage.document for passage in passages]
    return ScoreTable("the known set", ids, documents, np.array(labels, dtype=np.int8), {})


def read(source: PassageSource, label: int | None) -> Passages:
    """The passages of a set, all with the same label; labels of candidates are not read."""
    return to_passages(source, label=label, label_column="" if label is None else None, name=NAMES[label])


def _evenly_spaced(source: Passages, most: int) -> tuple[list[Passage], NDArray[np.intp], int]:
    """Up to *most* passages, their positions, and how many there are in all."""
    passages = iter(source)
    held = list(islice(passages, most))
    total = len(held) + sum(1 for _ in passages)  # to the end, so that the source has noted its contents
    if total == len(held):
        return held, np.arange(total), total
    spaced = np.arange(most) * total // most
    wanted = set(spaced.tolist())
    return [passage for at, passage in enumerate(source) if at in wanted], spaced, total


def _scores(table: ScoreTable, rows: Mapping[int | None, NDArray[np.intp]]) -> KnownScores:
    def of_sets(columns: Mapping[str, NDArray[np.float64]]) -> KnownScores:
        members, nonmembers, candidates = (
            {name: column[rows[label]] for name, column in columns.items()} for label in (1, 0, None)
        )
        return KnownScores(members, nonmembers, candidates)

    # `reference` with another reference model still takes the target, which may know the candidates.
    alone = {
        role: {name: of_role[name] for name in of_role if _of_model_alone(name)}
        for role, of_role in table.others.items()
    }
    passes = table.record.passes if table.record else {}
    others = {
        role: replace(of_sets(columns), language_model=role not in passes or passes[role].model.id != ngram.NAME)
        for role, columns in alone.items()
        if columns
    }
    return replace(of_sets(table.columns), others=others)


def _of_model_alone(attack: str) -> bool:
    """Whether an attack takes only the passage, and its signals by a single model."""
    return set(parse_attack(attack).evidence) <= {"target", "text"}
