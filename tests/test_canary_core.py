"""The draw, the tree of digests and the test of public variants, against full enumeration and simulation."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from llm_mia.canary import commitment_of, differences_of, draw_test, drawn_variant, leaf_of, merkle_root
from llm_mia.errors import InputError


def tree(leaves: list[str]) -> bytes:
    """The definition in RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + bytes.fromhex(leaves[0])).digest()
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def test_the_root_is_that_of_the_definition() -> None:
    leaves = [hashlib.sha256(bytes([at])).hexdigest() for at in range(23)]
    for count in range(1, 24):
        assert merkle_root(leaves[:count]) == tree(leaves[:count]).hex()
    assert merkle_root(leaves) != merkle_root([*leaves[1:], leaves[0]])


def test_a_leaf_needs_the_secret_and_no_two_variants_share_it() -> None:
    leaves = {
        leaf_of(secret, document, variant, text)
        for secret in (b"a", b"b")
        for document, variant, text in itertools.product(("x", "xy"), (0, 1), ("y", ""))
    }
    assert len(leaves) == 16
    assert commitment_of(b"a") != commitment_of(b"b")


def test_each_variant_is_drawn_equally_often_and_every_part_counts() -> None:
    drawn = [drawn_variant(b"secret", f"document {at}", "beacon", 7) for at in range(7_000)]
    assert chisquare(np.bincount(drawn, minlength=7)).pvalue > 1e-6
    again = [drawn_variant(b"secret", f"document {at}", "beacon 2", 7) for at in range(7_000)]
    same = sum(one == two for one, two in zip(drawn, again, strict=True))
    assert binom.cdf(same, 7_000, 1 / 7) > 1e-6
    assert binom.sf(same - 1, 7_000, 1 / 7) > 1e-6


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 2, 4), (2,), (5, 5)])
def test_small_designs_equal_full_enumeration(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sum(sizes))
    for ties in (False, True):
        scores = [rng.integers(0, 3, size).astype(float) if ties else rng.normal(size=size) for size in sizes]
        public = [int(rng.integers(size)) for size in sizes]

        def total(choice: tuple[int, ...], scores: list[np.ndarray] = scores) -> float:
            sums = 0.0
            for each, at in zip(scores, choice, strict=True):
                others = np.delete(each, at).mean()
                sums += (each[at] - others) / each.std() if each.std() else 0.0
            return sums

        sums = np.array([total(choice) for choice in itertools.product(*map(range, sizes))])
        expected = np.mean(sums >= total(tuple(public)) - 1e-9)
        result = draw_test(scores, public)
        assert result.exact
        assert result.p_value == pytest.approx(expected)
        assert result.statistic == pytest.approx(total(tuple(public)))
        drawn = draw_test(scores, public, choices=1)
        assert drawn.p_value in (0.5, 1.0) or drawn.exact


def p_values(publish_the_likeliest: float, count: int = 1_000) -> np.ndarray:
    """Of a model that was trained on no variant, with variants of very different difficulty.

    The likeliest variant is published with the given probability, in place of the drawn one.
    """
    rng = np.random.default_rng(5)
    scores = [rng.normal(0, 3) + rng.gamma(0.5, 10.0, size=8) for _ in range(30)]
    values = []
    for trial in range(count):
        public = [
            int(each.argmax()) if rng.random() < publish_the_likeliest else int(rng.integers(8)) for each in scores
        ]
        values.append(draw_test(scores, public, choices=999, seed=trial).p_value)
    return np.array(values)


def test_p_values_are_uniform_without_training_and_not_where_the_likeliest_variant_is_published() -> None:
    fair = p_values(0.0)
    for level in (0.01, 0.05, 0.2, 0.5):
        hits = int((fair <= level).sum())
        assert binom.sf(hits - 1, len(fair), level) > 1e-4
        assert binom.cdf(hits, len(fair), level) > 1e-4  # nor does it waste power: choices hardly tie
    assert (p_values(0.3, 200) <= 0.05).mean() > 0.5


def test_documents_whose_variants_score_alike_change_nothing() -> None:
    scores, public = [np.array([0.0, 1.0, 2.0]), np.full(4, 0.1), np.array([5.0, 4.0])], [2, 1, 0]
    assert (
        draw_test(scores, public).p_value == draw_test([scores[0], scores[2]], [2, 0]).p_value == pytest.approx(1 / 6)
    )
    assert draw_test(scores, public).documents == 2
    alike = draw_test([np.zeros(3)] * 4, [0] * 4)
    assert (alike.p_value, alike.documents, alike.statistic) == (1.0, 0, 0.0)
    assert differences_of([np.full(3, 1e9) + np.array([0, 1e-7, 0])])[0].any() == 0  # rounding is no difference


def test_the_result_does_not_depend_on_scale_or_place() -> None:
    rng = np.random.default_rng(1)
    scores = [rng.normal(size=4) for _ in range(6)]
    public = [0, 1, 2, 3, 0, 1]
    moved = [each * 7 + at for at, each in enumerate(scores)]
    assert draw_test(moved, public).p_value == draw_test(scores, public).p_value
    assert draw_test(moved, public).effect.value == pytest.approx(draw_test(scores, public).effect.value)


@pytest.mark.parametrize("scores", [[], [np.array([1.0])], [np.array([1.0, np.nan])], [np.array([1.0, np.inf])]])
def test_what_cannot_be_compared_is_refused(scores: list[np.ndarray]) -> None:
    with pytest.raises(InputError):
        draw_test(scores, [0] * len(scores))
