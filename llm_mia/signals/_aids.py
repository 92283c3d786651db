"""What attacks may use besides the models and the passage: shots, a population, token frequencies, rewritten texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..attacks import MANY_PASSES, Attack
from ..backends import ModelSpec
from ..errors import AttackError, PassageError
from ..passages import Passages, check_inputs, read_passages
from ..records import TokenFrequencies
from ..store import read_frequencies
from ._inputs import Inputs

__all__ = ["Aids", "Material"]

NONMEMBER, MEMBER = 0, 1
WANTING: dict[str, str] = {
    "reference": "a reference model: name one with -r",
    "aligned_reference": "a reference model: name one with -r",
    "prefixed": "known non-members to put before the passage: name a file of some with --shots",
    "member_prefixed": "known members among the shots too: label them 1 in the file of --shots, and non-members 0",
    "population": "passages from the same source that are not scored: name a file of some with --population, "
    "and a reference model with -r",
    "frequencies": "the token frequencies of a corpus: make them with 'llm-mia frequencies CORPUS -m MODEL', and name "
    "the file with --frequencies",
}
"""By kind of evidence: what an attack needs that the user has to give."""


@dataclass(frozen=True, slots=True)
class Aids:
    """What the user gives for attacks that need more than models; each may be left out."""

    shots: Passages | str | Path | None = None
    """Known non-members (label 0, or none) and members (label 1) to put before passages; none of them is scored."""
    population: Passages | str | Path | None = None
    """Passages from the source of those scored, none of which is scored."""
    frequencies: TokenFrequencies | str | Path | None = None
    """Token frequencies of a corpus, for the target's tokenizer."""
    neighbours: int = 10
    """Rewritten texts that each passage is set beside; every one costs a pass."""
    neighbour_model: ModelSpec | None = None
    """A masked language model that writes the neighbours; None: words are dropped and swapped."""
    seed: int = 0
    """Draws the rewritten texts."""

    def refuse_scored(self, inputs: Inputs) -> None:
        """Raises `PassageError` where a passage that is scored helps to score: its score would know of its label."""
        sources = [_passages(one) for one in (self.shots, self.population) if one is not None]
        helping = {hashlib.sha256(passage.text.encode()).digest(): passage for one in sources for passage in one}
        for passage in inputs if helping else ():
            twin = helping.get(hashlib.sha256(passage.text.encode()).digest())
            if twin is not None:
                raise PassageError(twin.where, f"is scored too ({passage.where}): remove one of the two")


@dataclass(frozen=True, slots=True)
class Material:
    """Aids that have been read."""

    shots: Mapping[int, str] = field(default_factory=dict)
    """By label: what is put before a passage."""
    population: Inputs | None = None
    frequencies: TokenFrequencies | None = None
    neighbours: int = 10
    neighbour_model: ModelSpec | None = None
    seed: int = 0

    @classmethod
    def read(cls, aids: Aids | None) -> Material:
        """Read the files that *aids* names; raises `PassageError` and `AttackError` for what they can't be."""
        aids = aids or Aids()
        if aids.neighbours < 1:
            raise AttackError(f"{aids.neighbours} neighbours: a passage is set beside one at least")
        frequencies = aids.frequencies
        if isinstance(frequencies, str | Path):
            frequencies = read_frequencies(frequencies)
        return cls(
            shots={} if aids.shots is None else _shots(_passages(aids.shots)),
            population=None if aids.population is None else _population(_passages(aids.population)),
            frequencies=frequencies,
            neighbours=aids.neighbours,
            neighbour_model=aids.neighbour_model,
            seed=aids.seed,
        )

    def refuse_wanting(self, one: Attack, *, reference: bool) -> None:
        """Raises `AttackError` where *one* needs what is not here."""
        wanting = self._wanting(reference)
        for evidence in one.evidence:
            if evidence in wanting:
                raise AttackError(f"attack {one.name!r} needs {WANTING[evidence]}")

    def serves(self, one: Attack, *, reference: bool) -> bool:
        """Whether all that *one* needs is here, at the cost of a few passes."""
        many = set(MANY_PASSES) & set(one.evidence)
        return not many and not self._wanting(reference) & set(one.evidence)

    def _wanting(self, reference: bool) -> set[str]:
        has = {
            "reference": reference,
            "aligned_reference": reference,
            "prefixed": NONMEMBER in self.shots,
            "member_prefixed": MEMBER in self.shots,
            "population": reference and self.population is not None,
            "frequencies": self.frequencies is not None,
        }
        return {evidence for evidence, there in has.items() if not there}


def _passages(source: Passages | str | Path) -> Passages:
    return source if isinstance(source, Passages) else read_passages(source)


def _shots(source: Passages) -> dict[int, str]:
    """The texts of each label, end to end, a line each; without labels all are non-members."""
    passages = list(source)
    if not passages:
        raise PassageError(source.name, "holds no passage to put before others")
    labelled = any(passage.label is not None for passage in passages)
    texts: dict[int, list[str]] = {}
    for passage in passages:
        if labelled and passage.label is None:
            raise PassageError(passage.where, "has no label, others have: say 1 for members and 0 for non-members")
        texts.setdefault(passage.label or NONMEMBER, []).append(passage.text)
    return {label: _end_to_end(of_label) for label, of_label in texts.items()}


def _end_to_end(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _population(source: Passages) -> Inputs:
    inputs = Inputs([source], check_inputs([source]))
    if not inputs.passages:
        raise PassageError(source.name, "holds no passage to compare with")
    return inputs
