"""What known non-members gain over the reference, and the attack that subtracts it: by hand, and its error rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from llm_mia import TokenSignals
from llm_mia.attacks import fit_gain_null, parse_attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.calibration import fpr_threshold
from llm_mia.errors import PassageError
from llm_mia.passages import Passages
from llm_mia.records import GainNull
from llm_mia.scoring import score
from llm_mia.signals import Supplies, signals_of

Pair = tuple[TokenSignals, TokenSignals]
FPR = 0.05


def pair(gains: ArrayLike, tokens: ArrayLike, loss: float = 2.0) -> Pair:
    """Signals of target and reference whose gains on *tokens* are *gains*."""
    theirs = np.full(np.size(gains), -loss)
    ours = theirs + np.asarray(gains)
    return TokenSignals.of(ours, token_ids=tokens), TokenSignals.of(theirs, token_ids=tokens)


def fitted(pairs: Sequence[Pair]) -> GainNull:
    return fit_gain_null([ours for ours, _ in pairs], [theirs for _, theirs in pairs], [text_of(p) for p in pairs])


def text_of(pair: Pair) -> str:
    return " ".join(f"w{token}" for token in pair[0].token_ids)


def scores_of(pairs: Sequence[Pair], null: GainNull, form: str = "scaled") -> NDArray[np.float64]:
    attack = parse_attack(f"excess_gain:form={form}")
    rows = [{"target": ours, "aligned_reference": theirs, "gain_null": null, "text": text_of((ours, theirs))}
            for ours, theirs in pairs]  # fmt: skip
    return np.array([attack.score(row) for row in rows])


def test_the_mean_gain_of_a_token_is_drawn_towards_0_as_by_ten_more_without_a_gain() -> None:
    null = fitted([pair([1, 2], [0, 3]), pair([4, 1], [3, 3])])
    assert null.token_ids.tolist() == [0, 3]
    assert null.token_gains == pytest.approx([1 / 11, 7 / 13])


def test_token_ids_may_be_as_large_as_those_of_a_server_that_shows_none() -> None:
    small = [pair([1, 2, 0.5], [0, 1, 2]), pair([3, -1], [0, 2]), pair([2, 1], [2, 5])]
    large = np.array([7, 80_000, 2**31 - 2, -1, -1, 2**31 - 1], np.int32)
    as_large = [pair(ours.logprob - theirs.logprob, large[ours.token_ids]) for ours, theirs in small]
    nulls = [
        fit_gain_null([p[0] for p in pairs], [p[1] for p in pairs], ["a", "b", "c"]) for pairs in (small, as_large)
    ]
    assert nulls[1].token_ids.tolist() == [7, 80_000, 2**31 - 2, 2**31 - 1]
    assert nulls[1].token_gains == pytest.approx(nulls[0].token_gains)
    assert nulls[1].mean == pytest.approx(nulls[0].mean)
    assert scores_of(as_large, nulls[1], "sum") == pytest.approx(scores_of(small, nulls[0], "sum"))


def test_the_sum_by_hand_and_a_token_that_the_population_lacks_keeps_its_gain() -> None:
    null = GainNull(np.arange(2), np.array([0.5, 0.25]))
    assert scores_of([pair([1, 2, 3, 1], [0, 1, 9, 1])], null, "sum")[0] == pytest.approx(6.0 / 2)


def test_the_fit_leaves_a_passage_out_of_the_means_that_it_is_scored_with() -> None:
    rng = np.random.default_rng(0)
    pairs = [pair(rng.normal(size=5), rng.integers(0, 4, size=5), loss) for loss in rng.uniform(1, 3, size=30)]
    null = fitted(pairs)
    excess = [scores_of([each], fitted([*pairs[:at], *pairs[at + 1 :]]), "sum")[0] for at, each in enumerate(pairs)]
    means = np.array(excess) - null.mean[0]
    assert abs(means.mean()) < 0.2 * np.std(excess)
    with_itself = scores_of(pairs, null, "sum")
    assert np.abs(with_itself).mean() < np.abs(excess).mean(), "a passage explains a part of its own gains"


def test_the_fit_leaves_the_whole_document_out_where_documents_are_given() -> None:
    pairs = [pair([1, 2], [0, 1]), pair([1, 2], [0, 1]), pair([3, -1], [0, 2])]
    texts = ["a text", "a text", "other"]
    null = fit_gain_null([ours for ours, _ in pairs], [theirs for _, theirs in pairs], texts, ["a", "a", "b"])
    excess = np.array([1 - 3 / 11 + 2, 1 - 3 / 11 + 2, 3 - 2 / 12 - 1]) / np.sqrt(2)
    assert null.mean[0] == pytest.approx(excess.mean())
    assert null.token_gains == pytest.approx([5 / 13, 4 / 12, -1 / 11])


@pytest.mark.parametrize("count", [1, 3])
def test_a_population_that_shows_no_spread_leaves_the_score_in_nats(count: int) -> None:
    alike = [pair([1, 2], [0, 1])] * count
    new = [pair([2, 1], [4, 5])]
    null = fitted(alike)
    assert scores_of(new, null)[0] == pytest.approx(scores_of(new, null, "sum")[0] - null.mean[0], rel=1e-6)


def test_golden_values() -> None:
    rng = np.random.default_rng(1)
    pairs = [
        pair(rng.normal(size=n), rng.integers(0, 20, size=n), loss)
        for n, loss in zip(rng.integers(4, 12, size=60).tolist(), rng.uniform(1, 3, size=60), strict=True)
    ]
    null = fitted(pairs)
    values = [float(scores_of(pairs[:1], null, form)[0]) for form in ("sum", "scaled")]
    assert values == pytest.approx(GOLDEN, rel=1e-6)


GOLDEN = [0.17707956243066542, 0.37835082107455476]


def simulated(rng: np.random.Generator, count: int, effects: NDArray[np.float64]) -> list[Pair]:
    """Non-members of five tokens each, repeated: gains are those of the tokens, and noise by the reference's loss."""
    pairs = []
    for _ in range(count):
        words, loss = rng.integers(0, len(effects), size=5), rng.uniform(0.5, 3)
        tokens = rng.choice(words, size=int(rng.integers(10, 30)))
        pairs.append(pair(effects[tokens] + loss * rng.normal(scale=0.3, size=len(tokens)), tokens, loss))
    return pairs


@pytest.mark.parametrize("form", ["scaled", "sum"])
def test_the_realised_false_positive_rate_is_within_what_the_threshold_promises(form: str) -> None:
    """And it is not where the population itself sets the threshold, which its docstring forbids: a planted fault."""
    rng, realised, faulty = np.random.default_rng(2), [], []
    for _ in range(40):
        effects = rng.normal(scale=0.6, size=150)
        population, calibration, new = (simulated(rng, count, effects) for count in (99, 99, 200))
        null = fitted(population)
        of_new = scores_of(new, null, form)
        realised.append(float((of_new > fpr_threshold(scores_of(calibration, null, form), FPR)).mean()))
        faulty.append(float((of_new > fpr_threshold(scores_of(population, null, form), FPR)).mean()))
    error = np.std(realised) / np.sqrt(len(realised))
    assert np.mean(realised) < FPR + 3 * error
    assert np.mean(faulty) > FPR + 3 * np.std(faulty) / np.sqrt(len(faulty))


def test_it_separates_what_a_mean_gain_does_not() -> None:
    rng = np.random.default_rng(3)
    effects = rng.normal(scale=0.8, size=150)
    null = fitted(simulated(rng, 400, effects))
    others = simulated(rng, 300, effects)
    members = [(TokenSignals.of(ours.logprob + 0.15, token_ids=ours.token_ids), theirs)
               for ours, theirs in simulated(rng, 300, effects)]  # fmt: skip

    def tpr(scores: NDArray[np.float64]) -> float:
        return float((scores[300:] > np.sort(scores[:300])[-4]).mean())

    plain = np.array([float((ours.logprob - theirs.logprob).mean()) for ours, theirs in others + members])
    assert tpr(scores_of(others + members, null)) > 1.5 * tpr(plain)


def test_the_population_of_a_run_gives_the_null(tmp_path: Path) -> None:
    target, reference = FakeBackend(0), FakeBackend(1)
    texts = [f"a text about {number} things" for number in range(12)]
    crowd = [f"{number} other things, all of them elsewhere" for number in range(9)]
    supplies = Supplies(population=Passages.of([{"text": text} for text in crowd]))
    names = ["excess_gain", "excess_gain:form=sum"]
    table = score(texts, target, reference, attacks=names, supplies=supplies, out=tmp_path / "run")
    null = fit_gain_null(signals_of(target, crowd), signals_of(reference, crowd), crowd)
    rows = zip(signals_of(target, texts), signals_of(reference, texts), texts, strict=True)
    for at, (ours, theirs, text) in enumerate(rows):
        evidence = {"target": ours, "aligned_reference": theirs, "gain_null": null, "text": text}
        for name in names:
            assert table.column(name)[at] == pytest.approx(parse_attack(name).score(evidence), rel=1e-3, abs=1e-4)


def test_a_passage_of_the_population_without_a_token_is_named(tmp_path: Path) -> None:
    supplies = Supplies(population=Passages.of([{"text": "a whole sentence"}, {"text": "x"}]))
    with pytest.raises(PassageError, match="has no token that can be scored: remove it from the population"):
        score(
            ["a text"], FakeBackend(0), FakeBackend(1), attacks=["excess_gain"], supplies=supplies, out=tmp_path / "r"
        )


@pytest.mark.parametrize("attack", ["excess_gain", "excess_gain:form=sum"])
def test_a_document_of_the_population_is_not_scored_too(attack: str, tmp_path: Path) -> None:
    scored = [{"id": "a", "document": "book", "text": "The river bends."}, {"id": "b", "text": "Seven geese."}]
    learned = [{"id": "c", "document": "book", "text": "The water rises."}, {"id": "b", "text": "A barn owl."}]
    models = FakeBackend(0), FakeBackend(1)

    def scores(population: list[dict[str, str]], attacks: list[str], out: str) -> None:
        supplies = Supplies(population=Passages.of(population))
        score(Passages.of(scored), *models, attacks=attacks, supplies=supplies, out=tmp_path / out)

    with pytest.raises(PassageError, match=r"row 1: its document 'book' is also that of a passage to score \(row 1\)"):
        scores(learned, [attack], "run")
    scores(learned, ["rmia"], "rmia")  # learns nothing of single tokens
    scores(learned[1:], [attack], "others")  # equal ids are no equal documents
