"""Every kind of evidence, once: what it is, which passes it takes, how its value is put together, what the user gives.

A kind of evidence is named like the parameter of the attacks that take it. To add a kind, add an entry here, or call
`evidence` in another package; nothing else has to change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import AttackError, PassageError
from ..records import Population, TokenFrequencies
from ..rewriting import neighbour, swap_words
from ._kind import EVIDENCE, Evidence, Kind, ModelPass, Provided, Rewrite, Row, Supply, Version, evidence

__all__ = ["EVIDENCE", "MEMBER", "NONMEMBER", "refuse_other_frequencies"]

NONMEMBER, MEMBER = 0, 1


def _only(name: str) -> Callable[[Row], Evidence]:
    """Takes the signals of a kind with a single pass."""

    def value(row: Row) -> Evidence:
        return row.signals[name][0]

    return value


def _all(name: str) -> Callable[[Row], Evidence]:
    def value(row: Row) -> Evidence:
        return row.signals[name]

    return value


def _lowered(_: Provided) -> list[Version]:
    return [Version("lowered", lambda texts: [text.lower() for text in texts])]


def _prefixed(name: str, label: int, provided: Provided) -> list[Version]:
    digest = hashlib.sha256(provided.shots[label].encode()).hexdigest()
    return [Version(name, prefix=provided.shots[label], depends={"shots_sha256": digest})]


def _neighbours(provided: Provided) -> list[Version]:
    if provided.writer is not None:
        by = {"by": "masked language model", "model": provided.writer.sha256()}
        return _rewritten("neighbour", [partial(provided.writer, n) for n in range(provided.neighbours)], by, provided)
    rewrites = [
        partial(_each, partial(neighbour, number=number, seed=provided.seed)) for number in range(provided.neighbours)
    ]
    return _rewritten("neighbour", rewrites, {"by": "dropout and swaps of words"}, provided)


def _swapped(provided: Provided) -> list[Version]:
    rewrites = [
        partial(_each, partial(swap_words, number=number, seed=provided.seed)) for number in range(provided.neighbours)
    ]
    return _rewritten("swapped", rewrites, {"by": "swaps of words"}, provided)


def _rewritten(stem: str, rewrites: Sequence[Rewrite], by: Mapping[str, Any], provided: Provided) -> list[Version]:
    depends = {"rewrite": {**by, "seed": provided.seed}}
    return [Version(f"{stem}-{number:02d}", rewrite, depends=depends) for number, rewrite in enumerate(rewrites)]


def _each(rewrite: Callable[[str], str], texts: Sequence[str]) -> Sequence[str]:
    return [rewrite(text) for text in texts]


def _of_population(name: str, provided: Provided) -> list[Version]:
    assert provided.population is not None, "an attack that lacks its evidence was refused before"
    return [Version(name, depends={"inputs_sha256": [provided.population.sha256()]})]


def _population(_: Provided, rows: Iterable[Row]) -> Evidence:
    """Raises `PassageError` where a passage of the population has no token that can be scored."""
    means: list[list[float]] = []
    for row in rows:
        signals = [row.signals[f"population_{role}"][0] for role in ("target", "reference")]
        if not all(map(len, signals)):
            raise PassageError(row.passage.where, "has no token that can be scored: remove it from the population")
        means.append([float(each.logprob.mean(dtype=np.float64)) for each in signals])
    target, reference = np.array(means).T
    return Population(target, reference)


def _frequencies_depend(provided: Provided) -> dict[str, Any]:
    assert provided.frequencies is not None, "an attack that lacks its evidence was refused before"
    digest = hashlib.sha256(provided.frequencies.counts.astype("<i8").tobytes()).hexdigest()
    # What a corpus is called may differ: `llm_mia.store.differences` doesn't compare an "id".
    return {"id": provided.frequencies.corpus, "counts_sha256": digest}


def refuse_other_frequencies(frequencies: TokenFrequencies, tokenizer: str) -> None:
    """Raises `AttackError` where *frequencies* were counted with another tokenizer than that of this fingerprint."""
    if frequencies.tokenizer != tokenizer:
        raise AttackError(
            f"`frequencies` of {frequencies.corpus or 'the corpus'} were counted with another tokenizer than the "
            "target's: count them again with the tokenizer of the target"
        )


def _frequencies_refuse(provided: Provided, tokenizer: str) -> None:
    assert provided.frequencies is not None, "an attack that lacks its evidence was refused before"
    refuse_other_frequencies(provided.frequencies, tokenizer)


evidence(
    Kind(
        "target",
        "signals of the target model on the passage",
        _only("target"),
        passes=(ModelPass("target"),),
    )
)
evidence(
    Kind(
        "reference",
        "signals of the reference model on the passage",
        _only("reference"),
        passes=(ModelPass("reference", "reference"),),
    )
)
evidence(
    Kind(
        "aligned_reference",
        "signals of a reference model that has the target's tokenizer, to compare token with token",
        _only("reference"),
        passes=(ModelPass("reference", "reference"),),
        by_token=True,
    )
)
evidence(
    Kind(
        "lowered",
        "signals of the target model on the passage in lower case",
        _only("lowered"),
        passes=(ModelPass("lowered", versions=_lowered),),
        # A third of all scoring time for the weakest score of the card: scripts/results/attacks-cpu.md.
        by_default=False,
    )
)
evidence(
    Kind(
        "prefixed",
        "signals of the target model on the same tokens after known non-members (`shots`)",
        _only("prefixed"),
        passes=(ModelPass("prefixed", versions=partial(_prefixed, "prefixed", NONMEMBER)),),
        supply=Supply(
            "known non-members to put before the passage: give a file of them as `shots`",
            lambda provided: NONMEMBER in provided.shots,
        ),
    )
)
evidence(
    Kind(
        "member_prefixed",
        "signals of the target model on the same tokens after known members (`shots` with label 1)",
        _only("member_prefixed"),
        passes=(ModelPass("member_prefixed", versions=partial(_prefixed, "member_prefixed", MEMBER)),),
        supply=Supply(
            "known members among the shots: label them 1 in the file of `shots`, and non-members 0",
            lambda provided: MEMBER in provided.shots,
        ),
    )
)
evidence(
    Kind(
        "neighbours",
        "signals of the target model on rewritten versions of the passage (`neighbours`: how many)",
        _all("neighbours"),
        passes=(ModelPass("neighbours", versions=_neighbours, many=True),),
        by_default=False,
    )
)
evidence(
    Kind(
        "swapped",
        "signals of the target model on versions of the passage with words swapped (`neighbours`: how many)",
        _all("swapped"),
        passes=(ModelPass("swapped", versions=_swapped, many=True),),
        by_default=False,
    )
)
evidence(
    Kind(
        "population",
        "mean log-likelihoods of both models on other passages from the same source (`population`)",
        shared=_population,
        passes=(
            ModelPass("population_target", "target", "population", partial(_of_population, "population_target")),
            ModelPass(
                "population_reference", "reference", "population", partial(_of_population, "population_reference")
            ),
        ),
        supply=Supply(
            "passages from the same source that are not scored: give a file of them as `population`, and give a "
            "reference model as `reference`",
            lambda provided: provided.population is not None,
        ),
        reads=("logprob",),
        by_token=True,
    )
)
evidence(
    Kind(
        "frequencies",
        "how often each token occurs in a corpus (`frequencies`)",
        shared=lambda provided, _: provided.frequencies,
        supply=Supply(
            "the token frequencies of a corpus: count them with `count_frequencies`, and give them as `frequencies`",
            lambda provided: provided.frequencies is not None,
        ),
        depends=_frequencies_depend,
        refuse_tokenizer=_frequencies_refuse,
    )
)
evidence(Kind("text", "the passage itself", lambda row: row.passage.text))
