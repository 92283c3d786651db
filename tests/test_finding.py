"""The finding: by hand, and by simulation: where nobody was trained on there is one in at most 5 % of audits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.calibration import chance_of_flags, flag_rank, fpr_threshold
from llm_mia.decision import Finding, FindingTest, Flags, NoteKind, Obstacle, calibrate, flag, flag_documents
from llm_mia.errors import UsageError
from llm_mia.report.words import members_words

Floats = NDArray[np.float64]
LEVEL = 0.05


def table(known: Any, candidates: Any, documents: Sequence[str] | None = None, categories: Any = None) -> ScoreTable:
    """Known non-members, then candidates; each a document, unless *documents* name others."""
    scores = np.concatenate([np.asarray(known, dtype=np.float64), np.asarray(candidates, dtype=np.float64)])
    labels = [0] * len(known) + [None] * len(candidates)
    return ScoreTable.of(scores, labels, documents=documents, categories=categories, name="t.csv")


def finding_of(scores: ScoreTable, *, fpr: float = 0.05, confidence: float | None = None, **options: Any) -> Finding:
    finding = flag(scores, calibrate(scores, "score", fpr=fpr, confidence=confidence), **options).finding
    assert finding is not None
    return finding


def at_most(share: float, rate: float, repeats: int) -> bool:
    """Not above *rate* by more than chance explains: four Monte-Carlo standard errors."""
    return share <= rate + 4 * math.sqrt(rate * (1 - rate) / repeats)


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_six_flags_of_140_where_seven_are_expected_are_no_finding() -> None:
    scores = table(np.arange(100.0), [*np.arange(999.0, 1005), *np.arange(-134.0, 0)])
    flags = flag(scores, calibrate(scores, "score", fpr=0.05))
    assert flags.flagged == 6
    assert flags.by_chance == pytest.approx(7.0)
    assert flags.finding == Finding(0.592172946864, 0.05, FindingTest.COUNT, 6, 140, 100, least=15)
    assert not flags.significant
    many = table(np.arange(100.0), [*np.arange(999.0, 1048), *np.arange(-91.0, 0)])
    found = flag(many, calibrate(many, "score", fpr=0.05))
    # P(49 or more of 140 above the 5th largest of 100): beta-binomial, summed.
    exact = sum(math.comb(x + 4, x) * math.comb(235 - x, 140 - x) for x in range(49, 141)) / math.comb(240, 140)
    assert found.finding is not None
    assert found.finding.p_value == pytest.approx(exact, rel=1e-9)
    assert found.significant


def test_the_least_flags_of_a_finding_are_a_finding_and_one_fewer_is_none() -> None:
    def p_value(flags: int, documents: Sequence[str] | None) -> Finding:
        known, low = np.arange(100.0), np.arange(-140.0, 0)
        scores = table(known, [*np.arange(999.0, 999 + flags), *low[: 140 - flags]], documents)
        return finding_of(scores)

    pairs = [f"{role}{i // 2}" for role, n in (("known", 100), ("candidate", 140)) for i in range(n)]
    for documents in (None, pairs):
        least = p_value(60, documents).least
        assert least is not None
        assert p_value(least, documents).significant
        if documents is None:  # where documents are exchanged, the scores decide which counts chance gives
            assert not p_value(least - 1, documents).significant


def test_the_chance_of_flags_is_that_of_every_arrangement() -> None:
    """Of 5 known and 4 candidates, all different: each choice of the ranks of the candidates is as likely."""
    n, m, k = 5, 4, 2
    flags = []
    for places in itertools.combinations(range(n + m), m):  # the places of the candidates, from the highest score
        known = [place for place in range(n + m) if place not in places]
        flags.append(sum(place < known[k - 1] for place in places))
    for x in range(m + 1):
        assert chance_of_flags([(x, m, k, n)]) == pytest.approx(float(np.mean(np.array(flags) >= x)), rel=1e-9)
    pairs = [a + b for a in flags for b in flags]
    for x in range(2 * m + 1):
        counts = [(min(x, m), m, k, n), (max(0, x - m), m, k, n)]
        assert chance_of_flags(counts) == pytest.approx(float(np.mean(np.array(pairs) >= x)), rel=1e-9)


def test_with_a_confidence_the_flags_above_that_threshold_count() -> None:
    rng = np.random.default_rng(0)
    scores = table(rng.normal(size=100), [*np.linspace(9.0, 9.4, 5), *rng.normal(size=45)])
    k = flag_rank(100, 0.05, 0.95)
    calibration = calibrate(scores, "score", fpr=0.05, confidence=0.95)
    assert calibration.threshold == sorted(calibration.scores)[-k]
    flags = flag(scores, calibration)
    assert flags.finding is not None
    assert flags.finding.p_value == chance_of_flags([(flags.flagged, 50, k, 100)])
    assert flags.members is not None
    assert flags.members.level == k / 101


@pytest.mark.parametrize("level", [0.2, 0.05, 0.01])
def test_the_bound_on_members_is_above_0_where_there_is_a_finding_and_only_there(level: float) -> None:
    rng, seen = np.random.default_rng(1), set()
    for fdr in (None, 0.1):
        for shifted in range(0, 61, 6):
            lifted = rng.normal(size=60) + 3 * (np.arange(60) < shifted)
            scores = table(rng.normal(size=400), lifted)
            flags = flag(scores, calibrate(scores, "score", fpr=0.1), fdr=fdr, finding_level=level)
            assert flags.members is not None
            assert flags.finding is not None
            assert (flags.members.members > 0) == flags.finding.significant
            assert flags.members.confidence == pytest.approx(1 - level)
            assert (flags.finding.level, flags.finding.test) == (level, "count" if fdr is None else "smallest_q")
            seen.add((fdr, flags.finding.significant))
    assert len(seen) == 4, "both answers, by count and by the smallest q-value"


def test_a_level_that_is_no_probability_is_refused() -> None:
    scores = table(np.arange(20.0), [1.0])
    for level in (0.0, 1e-40, 1.0, -1, math.nan):
        with pytest.raises(UsageError, match="`finding_level` must be at least 1e-09 and below 1"):
            flag(scores, calibrate(scores, "score", fpr=0.05), finding_level=level)


def test_labels_are_exchanged_between_documents_and_within_those_that_hold_both() -> None:
    # Whole documents: 3 of 12, whose passages are the highest; 1 of 220 arrangements has as many flags.
    scores = table(np.arange(18.0), np.arange(18.0, 24.0), [f"d{i // 2}" for i in range(24)])
    finding = finding_of(scores, fpr=0.1)
    assert (finding.test, finding.documents, finding.arrangements) == (FindingTest.EXCHANGE, 12, 220)
    assert finding.p_value == pytest.approx(1 / 220)
    # A document of both kinds: 1 candidate of 20 passages, the highest; the other documents have no candidate.
    both = table(np.arange(37.0), [99.0], [*(f"d{i}" for i in range(18)), *["book"] * 20])
    finding = finding_of(both)
    assert finding.documents == 19
    assert finding.p_value == pytest.approx(1 / 20, abs=4 * math.sqrt(0.05 * 0.95 / finding.arrangements))


def test_documents_of_other_sizes_are_cut_to_a_common_size() -> None:
    rng = np.random.default_rng(0)
    names = [f"n{i // 9}" for i in range(180)] + [f"c{i}" for i in range(6)]
    finding = finding_of(table(rng.normal(size=180), rng.normal(9, 1, size=6), names))
    assert (finding.candidates, finding.nonmembers, finding.documents) == (6, 20, 26)
    assert finding.significant


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"labelled": True}, Obstacle.LABELLED),
        ({"candidates": [math.nan] * 4}, Obstacle.UNSCORED),
        ({"other": True}, Obstacle.OTHER_NONMEMBERS),
        ({"categories": ["a", "b"] * 82}, Obstacle.CATEGORIES),
        ({"categories": ["a", "a", "b", "b"] * 41, "fdr": 0.1}, Obstacle.CATEGORIES_FDR),
        ({"documents": [f"n{i}" for i in range(160)] + ["c"] * 4}, None),
    ],
)
def test_where_no_finding_is_possible_a_note_says_why(change: dict[str, Any], why: Obstacle | None) -> None:
    rng = np.random.default_rng(0)
    documents = change.get("documents", [f"d{i // 2}" for i in range(164)])
    scores = table(rng.normal(size=160), change.get("candidates", [1.0] * 4), documents, change.get("categories"))
    calibration = calibrate(scores, "score", fpr=0.05)
    if change.get("other"):
        scores = scores.only(np.arange(164) > 3)
    flags = flag(scores, calibration, labelled=change.get("labelled", False), fdr=change.get("fdr"))
    notes = [note.figures["why"] for note in flags.notes if note.kind == NoteKind.FINDING_IMPOSSIBLE]
    assert notes == ([] if why is None else [why])
    assert (flags.finding is None) == (why is not None)
    assert not (flags.significant and why)


# -- by simulation: nobody was trained on -----------------------------------------------------------------------------

Draw = Callable[[np.random.Generator], ScoreTable]
Decide = Callable[[ScoreTable, float], Flags]


def independent(n: int, m: int, members: int = 0, shift: float = 0.0) -> Draw:
    return lambda rng: table(rng.normal(size=n), rng.normal(size=m) + shift * (np.arange(m) < members))


def books(known: int, candidates: int, passages: int | tuple[int, int], correlation: float = 0.5) -> Draw:
    """Documents whose passages go up and down together; *passages* of a non-member's and of a candidate's document."""
    sizes = passages if isinstance(passages, tuple) else (passages, passages)

    def draw(rng: np.random.Generator) -> ScoreTable:
        size = np.repeat(sizes, [known, candidates])
        own = rng.normal(size=known + candidates)
        scores = math.sqrt(correlation) * np.repeat(own, size)
        scores += math.sqrt(1 - correlation) * rng.normal(size=len(scores))
        names = [f"d{i}" for i in np.repeat(np.arange(known + candidates), size)]
        return table(scores[: known * sizes[0]], scores[known * sizes[0] :], names)

    return draw


def split_books(documents: int, n: int, m: int) -> Draw:
    """Passages of a few documents, dealt to non-members and candidates at random."""

    def draw(rng: np.random.Generator) -> ScoreTable:
        book = rng.integers(documents, size=n + m)
        scores = rng.normal(size=documents)[book] + rng.normal(size=n + m)
        return table(scores[:n], scores[n:], [f"d{i}" for i in book])

    return draw


def by_passage(scores: ScoreTable, fpr: float) -> Flags:
    return flag(scores, calibrate(scores, "score", fpr=fpr))


def by_document(scores: ScoreTable, fpr: float) -> Flags:
    return flag_documents(scores, calibrate(scores, "score", fpr=fpr))


def by_discovery(scores: ScoreTable, fpr: float) -> Flags:
    return flag(scores, calibrate(scores, "score", fpr=fpr), fdr=0.1)


def rates(draw: Draw, fpr: float, repeats: int, decide: Decide = by_passage) -> tuple[float, float]:
    """Share of audits with a finding; and the share that the former rule, more flags than expected, would have."""
    rng, findings, former = np.random.default_rng(0), 0, 0
    for _ in range(repeats):
        flags = decide(draw(rng), fpr)
        assert flags.finding is not None
        findings += flags.significant
        former += flags.flagged > (flags.by_chance or 0)
    return findings / repeats, former / repeats


@pytest.mark.parametrize("m", [10, 19, 140, 1000])
@pytest.mark.parametrize(("n", "fpr"), [(60, 0.05), (60, 0.1), (100, 0.01), (100, 0.05), (1000, 0.01), (1000, 0.1)])
def test_nobody_trained_on_gives_a_finding_in_at_most_5_percent_of_audits(m: int, n: int, fpr: float) -> None:
    """Exactly: over all counts of flags, by their probabilities."""
    k = flag_rank(n, fpr)
    tails = [chance_of_flags([(x, m, k, n)]) for x in range(m + 2)]
    by_count = np.append(tails[:-1], 0.0)
    probabilities = by_count[:-1] - by_count[1:]
    findings = float(probabilities[np.array(tails[: m + 1]) <= LEVEL].sum())
    former = float(probabilities[np.arange(m + 1) > fpr * m].sum())
    assert findings <= LEVEL
    assert former > 0.09, "the former rule: a finding where flags exceed their expectation"


def test_the_simulation_gives_what_the_probabilities_say_and_shows_the_former_rule_up() -> None:
    findings, former = rates(independent(100, 140), 0.05, 300)
    assert at_most(findings, LEVEL, 300)
    assert former == pytest.approx(0.39, abs=4 * math.sqrt(0.39 * 0.61 / 300))


@pytest.mark.parametrize(
    ("draw", "fpr"),
    [
        (books(40, 20, 4), 0.05),
        (books(20, 10, 10, 0.8), 0.1),
        (books(40, 20, (8, 1)), 0.05),
        (books(40, 5, (1, 30)), 0.05),
        (split_books(24, 100, 60), 0.05),
    ],
    ids=["equal sizes", "strong correlation", "long non-members", "long candidates", "documents on both sides"],
)
def test_documents_that_are_shared_give_no_more_findings(draw: Draw, fpr: float) -> None:
    assert at_most(rates(draw, fpr, 100)[0], LEVEL, 100)


@pytest.mark.parametrize("decide", [by_document, by_discovery])
def test_decisions_on_documents_and_discoveries_give_no_more_findings(decide: Decide) -> None:
    assert at_most(rates(books(60, 20, 4), 0.05, 80, decide)[0], LEVEL, 80)


def test_discoveries_among_independent_passages_give_no_more_findings() -> None:
    assert at_most(rates(independent(100, 140), 0.05, 200, by_discovery)[0], LEVEL, 200)


def test_the_check_detects_documents_taken_for_independent_passages() -> None:
    rng, findings = np.random.default_rng(0), 0
    for _ in range(100):
        scores = books(20, 10, 10, 0.8)(rng).columns["score"]
        flags = int((scores[200:] > fpr_threshold(scores[:200], 0.1)).sum())
        findings += chance_of_flags([(flags, 100, flag_rank(200, 0.1), 200)]) <= LEVEL
    assert not at_most(findings / 100, LEVEL, 100)


# -- by simulation: half were trained on ------------------------------------------------------------------------------


SHIFT = 1.41
"""Of members, in standard deviations: an AUROC of 0.84, the lowest in README's demonstration; the decider has 0.967."""


def test_members_among_shared_documents_are_found() -> None:
    rng, findings = np.random.default_rng(0), 0
    for _ in range(40):
        scores = split_books(40, 100, 200)(rng)  # of variance 2
        lifted = scores.columns["score"] + math.sqrt(2) * SHIFT * (np.arange(300) >= 200)
        findings += by_passage(table(lifted[:100], lifted[100:], scores.documents), 0.05).significant
    assert findings / 40 >= 0.9


def test_a_confidence_is_never_rounded_to_certainty() -> None:
    scores = table(np.arange(100.0), np.arange(999.0, 1059))
    flags = flag(scores, calibrate(scores, "score", fpr=0.05), finding_level=1e-9)
    assert str(members_words(flags)).startswith("with 99.9999999 % confidence, at least ")


@pytest.mark.parametrize("n", [99, 1_000])
@pytest.mark.parametrize("decide", [flag, flag_documents])
def test_a_single_candidate_has_the_p_value_of_its_score(decide: Any, n: int) -> None:
    """The count of flags has p = 0.05, above the 0.045 of a first decision, however high the score is."""
    known = np.arange(n, dtype=np.float64)
    for score, p_value in ((n + 5.0, 1 / (n + 1)), (n - 2.5, 3 / (n + 1)), (n / 2, 1.0)):
        table = ScoreTable.of([*known, score], [0] * n + [None])
        flags = decide(table, calibrate(table, "score", fpr=0.05), finding_level=0.045)
        assert flags.finding is not None
        assert flags.finding.p_value == pytest.approx(p_value)
        assert flags.members is not None
        assert (flags.members.members == 1) is flags.significant is (p_value < 0.045)
        if flags.significant:
            assert flags.finding.sensitivity is not None
            assert flags.finding.sensitivity.share > 0
