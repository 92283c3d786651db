"""Every kind of evidence: what it is, which passes it takes, how its value is computed, what the user gives for it.

A kind of evidence is named like the parameter of the attacks that take it. To add a kind, add an entry here, or call
`register_evidence` in another package; nothing else has to change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..errors import AttackError, PassageError
from ..records import CONTINUATIONS, Passage, Population, TokenFrequencies, TokenSignals, text_sha256
from ..rewriting import neighbour, swap_words
from ._fields import IDS
from ._gain_null import fit_gain_null
from ._kind import (
    EVIDENCE,
    Evidence,
    EvidenceKind,
    LoadedSupplies,
    ModelPass,
    PassageSignals,
    Requirement,
    TextVersion,
    register_evidence,
)
from ._sample_set import Samples, split_passage
from ._shadow_set import ShadowSet

__all__ = ["EVIDENCE", "MEMBER", "NONMEMBER", "refuse_other_frequencies"]

NONMEMBER, MEMBER = 0, 1
Value: TypeAlias = Callable[[PassageSignals, LoadedSupplies], Evidence]
"""See `EvidenceKind.value`."""
OF_SHADOWS = ModelPass("shadow-*", "shadow-*")
POPULATION_PASSES = ("population_target", "population_reference")


def _from_only_pass(name: str) -> Value:
    """Returns a function that takes the signals of the only pass with the declaration *name*."""
    return lambda row, _: row.signals[name][0]


def _from_all_passes(name: str) -> Value:
    """Returns a function that takes the signals of every pass with the declaration *name*, as a tuple."""
    return lambda row, _: row.signals[name]


def _lowered(_: LoadedSupplies) -> list[TextVersion]:
    return [TextVersion("lowered", _in_lower_case)]


def _in_lower_case(texts: Sequence[str]) -> list[str]:
    return [text.lower() for text in texts]


def _prefixed(name: str, label: int, supplies: LoadedSupplies) -> list[TextVersion]:
    digest = text_sha256(supplies.shots[label])
    return [TextVersion(name, prefix=supplies.shots[label], depends={"shots_sha256": digest})]


def _neighbours(supplies: LoadedSupplies) -> list[TextVersion]:
    writer = supplies.neighbour_writer
    if writer is None:
        return _rewritten("neighbour", supplies, neighbour, "dropout and swaps of words")
    depends = {"rewrite": {"by": "masked language model", "model": writer.sha256(), "seed": supplies.seed}}
    return [
        TextVersion(f"neighbour-{number:02d}", partial(writer, number), depends=depends)
        for number in range(supplies.neighbours)
    ]


def _swapped(supplies: LoadedSupplies) -> list[TextVersion]:
    return _rewritten("swapped", supplies, swap_words, "swaps of words")


def _rewritten(stem: str, supplies: LoadedSupplies, rewrite: Callable[..., str], description: str) -> list[TextVersion]:
    """Versions by a function of `llm_mia.rewriting`; their names are *stem* and a number."""
    depends = {"rewrite": {"by": description, "seed": supplies.seed}}
    rewrites = [partial(rewrite, number=number, seed=supplies.seed) for number in range(supplies.neighbours)]
    return [
        TextVersion(f"{stem}-{number:02d}", partial(_rewrite_each, of_number), depends=depends)
        for number, of_number in enumerate(rewrites)
    ]


def _rewrite_each(rewrite: Callable[[str], str], texts: Sequence[str]) -> Sequence[str]:
    return [rewrite(text) for text in texts]


def _continued(supplies: LoadedSupplies) -> list[TextVersion]:
    assert supplies.samples is not None, "an attack that lacks its evidence was refused before"
    return [TextVersion("samples", depends={"samples": supplies.samples.record}, samples=supplies.samples)]


def _samples(row: PassageSignals, supplies: LoadedSupplies) -> Evidence:
    assert supplies.samples is not None, "an attack that lacks its evidence was refused before"
    parts = split_passage(row.passage.text, supplies.samples.prefix_share)
    return Samples("" if parts is None else parts[1], row.texts["samples"])


def _of_population(name: str, supplies: LoadedSupplies) -> list[TextVersion]:
    assert supplies.population is not None, "an attack that lacks its evidence was refused before"
    return [TextVersion(name, depends={"inputs_sha256": [supplies.population.sha256()]})]


def _population(_: LoadedSupplies, rows: Iterable[PassageSignals]) -> Evidence:
    """The mean log-likelihoods of the population.

    Raises `PassageError` where a passage has no token that can be scored.
    """
    means: list[list[float]] = []
    for row in rows:
        signals = [row.signals[name][0] for name in POPULATION_PASSES]
        _refuse_unscored(row.passage, signals)
        means.append([each.mean_logprob for each in signals])
    target, reference = np.array(means).T
    return Population(target, reference)


def _gain_null(_: LoadedSupplies, rows: Iterable[PassageSignals]) -> Evidence:
    """What the population gains over the reference model.

    Raises `PassageError` where a passage has no token that can be scored.
    """
    passages, signals = list[Passage](), list[list[TokenSignals]]()
    for row in rows:
        of_row = [row.signals[name][0].copy() for name in POPULATION_PASSES]
        _refuse_unscored(row.passage, of_row)
        passages.append(row.passage)
        signals.append(of_row)
    targets, references = zip(*signals, strict=True)
    texts, documents = zip(*((passage.text, passage.document) for passage in passages), strict=True)
    return fit_gain_null(targets, references, texts, documents)


def _refuse_unscored(passage: Passage, signals: Sequence[TokenSignals]) -> None:
    if not all(map(len, signals)):
        raise PassageError(passage.where, "has no token that can be scored: remove it from the population")


def _shadow_set(supplies: LoadedSupplies) -> ShadowSet:
    assert supplies.shadows is not None, "an attack that lacks its evidence was refused before"
    return supplies.shadows


def _shadows(row: PassageSignals, supplies: LoadedSupplies) -> Evidence:
    shadows = _shadow_set(supplies)
    roles = filter(OF_SHADOWS.matches, supplies.roles)
    means = dict(zip(roles, (each.mean_logprob for each in row.signals[OF_SHADOWS.name]), strict=True))
    return shadows.likelihoods(row.passage.text, [means[role] for role in shadows.roles])


def _of_shadow_population(supplies: LoadedSupplies) -> list[TextVersion]:
    digest = _shadow_set(supplies).population.sha256()
    return [TextVersion("shadow_population", depends={"inputs_sha256": [digest]})]


def _shadow_population(supplies: LoadedSupplies, rows: Iterable[PassageSignals]) -> Evidence:
    return _shadow_set(supplies).compared([row.signals["shadow_population"][0].mean_logprob for row in rows])


def _shadows_digest(supplies: LoadedSupplies) -> dict[str, Any]:
    shadows = _shadow_set(supplies)
    return {"sha256": shadows.sha256, "seed": shadows.seed}


def _frequencies_digest(supplies: LoadedSupplies) -> dict[str, Any]:
    assert supplies.frequencies is not None, "an attack that lacks its evidence was refused before"
    digest = hashlib.sha256(supplies.frequencies.counts.astype("<i8").tobytes()).hexdigest()
    # The name of the corpus may differ: `llm_mia.store.differences` does not compare an "id".
    return {"id": supplies.frequencies.corpus, "counts_sha256": digest}


def refuse_other_frequencies(frequencies: TokenFrequencies, tokenizer: str) -> None:
    """Raises `AttackError` where *frequencies* were counted with another tokenizer than that of this fingerprint."""
    if frequencies.tokenizer != tokenizer:
        raise AttackError(
            f"`frequencies` of {frequencies.corpus or 'the corpus'} were counted with another tokenizer than the "
            "target's: count them again by `count_frequencies` with the target's tokenizer"
        )


def _refuse_frequencies(supplies: LoadedSupplies, tokenizer: str) -> None:
    assert supplies.frequencies is not None, "an attack that lacks its evidence was refused before"
    refuse_other_frequencies(supplies.frequencies, tokenizer)


register_evidence(
    EvidenceKind(
        "target",
        "signals of the target model on the passage",
        _from_only_pass("target"),
        passes=(ModelPass("target"),),
    )
)
register_evidence(
    EvidenceKind(
        "reference",
        "signals of the reference model on the passage",
        _from_only_pass("reference"),
        passes=(ModelPass("reference", "reference"),),
    )
)
register_evidence(
    EvidenceKind(
        "aligned_reference",
        "signals of a reference model that has the target's tokenizer, to compare token with token",
        _from_only_pass("reference"),
        passes=(ModelPass("reference", "reference"),),
        by_token=True,
    )
)
register_evidence(
    EvidenceKind(
        "lowered",
        "signals of the target model on the passage in lower case",
        _from_only_pass("lowered"),
        passes=(ModelPass("lowered", versions=_lowered),),
        # A third of all scoring time for the weakest score of the card: scripts/results/attacks-cpu.md.
        by_default=False,
    )
)
register_evidence(
    EvidenceKind(
        "prefixed",
        "signals of the target model on the same tokens after known non-members (given by `shots`)",
        _from_only_pass("prefixed"),
        passes=(ModelPass("prefixed", versions=partial(_prefixed, "prefixed", NONMEMBER)),),
        requirement=Requirement(
            "known non-members to put before the passage: give a file of them as `shots`",
            lambda supplies: NONMEMBER in supplies.shots,
        ),
    )
)
register_evidence(
    EvidenceKind(
        "member_prefixed",
        "signals of the target model on the same tokens after known members (given by `shots` with label 1)",
        _from_only_pass("member_prefixed"),
        passes=(ModelPass("member_prefixed", versions=partial(_prefixed, "member_prefixed", MEMBER)),),
        requirement=Requirement(
            "known members among the shots: label them 1 in the file of `shots`, and non-members 0",
            lambda supplies: MEMBER in supplies.shots,
        ),
    )
)
register_evidence(
    EvidenceKind(
        "neighbours",
        "signals of the target model on rewritten versions of the passage (`neighbours` is their number)",
        _from_all_passes("neighbours"),
        passes=(ModelPass("neighbours", versions=_neighbours, count_varies=True),),
        by_default=False,
    )
)
register_evidence(
    EvidenceKind(
        "swapped",
        "signals of the target model on versions of the passage with words swapped (`neighbours` is their number)",
        _from_all_passes("swapped"),
        passes=(ModelPass("swapped", versions=_swapped, count_varies=True),),
        by_default=False,
    )
)
POPULATION = tuple(
    ModelPass(name, role, "population", partial(_of_population, name))
    for name, role in zip(POPULATION_PASSES, ("target", "reference"), strict=True)
)
POPULATION_REQUIRED = Requirement(
    "passages from the same source that are not scored: give a file of them as `population`, and give a "
    "reference model as `reference`",
    lambda supplies: supplies.population is not None,
)
register_evidence(
    EvidenceKind(
        "population",
        "mean log-likelihoods of both models on other passages from the same source (given by `population`)",
        shared=_population,
        passes=POPULATION,
        requirement=POPULATION_REQUIRED,
        reads=("logprob",),
        by_token=True,
    )
)
register_evidence(
    EvidenceKind(
        "gain_null",
        "what known non-members from the same source gain over the reference model (given by `population`)",
        shared=_gain_null,
        passes=POPULATION,
        requirement=Requirement(
            "known non-members, 500 or more, from documents of which nothing is scored: give a file of them as "
            "`population`, and a reference model as `reference`",
            lambda supplies: supplies.population is not None,
        ),
        reads=("logprob", IDS),
        by_token=True,
    )
)
register_evidence(
    EvidenceKind(
        "frequencies",
        "how often each token occurs in a corpus (given by `frequencies`)",
        shared=lambda supplies, _: supplies.frequencies,
        requirement=Requirement(
            "the token frequencies of a corpus: count them with `count_frequencies`, and give them as `frequencies`",
            lambda supplies: supplies.frequencies is not None,
        ),
        depends=_frequencies_digest,
        refuse_tokenizer=_refuse_frequencies,
    )
)
SHADOWS_REQUIRED = Requirement(
    "shadow models: train them on random halves of a pool of texts, and give their folder as `shadows`",
    lambda supplies: supplies.shadows is not None,
)
register_evidence(
    EvidenceKind(
        "shadows",
        "mean log-likelihoods of shadow models on the passage, and which were trained on it (given by `shadows`)",
        _shadows,
        passes=(OF_SHADOWS,),
        reads=("logprob",),
        requirement=SHADOWS_REQUIRED,
        depends=_shadows_digest,
        by_token=True,
    )
)
register_evidence(
    EvidenceKind(
        "shadow_population",
        "mean log-likelihoods of the target and of the shadow models on passages of their pool (given by `shadows`)",
        shared=_shadow_population,
        passes=(ModelPass("shadow_population", "target", "shadow_population", _of_shadow_population),),
        reads=("logprob",),
        requirement=SHADOWS_REQUIRED,
        depends=_shadows_digest,
    )
)
register_evidence(
    EvidenceKind(
        "samples",
        "texts with which the target model continues the beginning of the passage (`samples` is their number)",
        _samples,
        passes=(ModelPass("samples", versions=_continued),),
        reads=(CONTINUATIONS,),
        requirement=Requirement(
            "texts with which the target continues each passage: give their number as `samples`, such as 10; each is a "
            "request to the model",
            lambda supplies: supplies.samples is not None,
        ),
    )
)
register_evidence(EvidenceKind("text", "the passage itself", lambda row, _: row.passage.text))
