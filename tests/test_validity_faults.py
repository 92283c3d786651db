"""Known sets with one fault planted in each, and what finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from llm_mia.records import Passage
from llm_mia.validity import Asked, KnownScores, validate

from .test_validity import corpus, faults, halves, said, value


@pytest.fixture(scope="module")
def pool() -> list[Passage]:
    """160 documents of one passage, all from one distribution."""
    return corpus(160, seed=1)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_planted_year_is_void(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    found = validate(said(members, "1999", 0.9), said(others, "2023", 0.9))
    assert found.verdict == "void"
    assert {"leak_latest_year", "blind_words_auroc", "blind_counts_auroc"} <= faults(found)
    assert value(found["leak_latest_year"]) > 0.9
    assert value(found["blind_words_auroc"]) > 0.9
    assert found["leak_latest_year"].p_value == pytest.approx(0.0005)
    # In both classes the same year tells nothing: it is the difference that does.
    assert validate(said(members, "1999", 0.9), said(others, "1999", 0.9)).verdict == "sound"


def test_another_author_is_void() -> None:
    members = corpus(60, seed=1)
    others = [replace(p, text=p.text.replace("io", "ia").replace("lk", "ck")) for p in corpus(60, seed=2, name="other")]
    found = validate(members, others)
    assert found["blind_words_auroc"].verdict == "void"
    assert faults(found) >= {"blind_words_auroc"}


def test_a_few_marked_members_are_seen_at_a_low_rate() -> None:
    members, others = halves(corpus(600, seed=4), 0)
    found = validate(said(members, "zzyzx", 0.25), others)
    assert found["blind_words_tpr_at_fpr_0.05"].verdict in ("doubtful", "void")
    assert found["blind_words_auroc"].verdict == "doubtful"
    assert found["leak_bytes"].verdict == "sound"


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("leak_bytes", lambda text: f"{text} {text}"),
        ("leak_bytes_per_word", lambda text: text.replace(" ", "")),
        ("leak_upper", str.upper),
        ("leak_punctuation", lambda text: text.replace(" ", ", ")),
        ("leak_non_ascii", lambda text: text.replace("a", "à")),
        ("leak_other_scripts", lambda text: text.replace("a", "а")),
    ],
)
def test_each_leak_is_found_by_its_own_check(pool: list[Passage], check: str, change: Callable[[str], str]) -> None:
    members, others = halves(pool, 0)
    found = validate([replace(p, text=change(p.text)) for p in members], others)
    assert found[check].verdict == "void"


def test_names_that_tell_the_source_are_doubtful(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    named = [[replace(p, document=f"{n}-{p.id}") for p in each] for n, each in (("arxiv", members), ("news", others))]
    found = validate(*named)
    assert faults(found) == {"leak_document_name"}
    assert found["leak_document_name"].verdict == "doubtful"
    # Names that only say which set a file was put in are the user's own labels.
    named = [[replace(p, document=f"{n}-{p.id}") for p in each] for n, each in (("members", members), ("test", others))]
    assert validate(*named).verdict == "sound"


def test_repeated_text_is_found_by_id(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    copied = [replace(p, text=f"{m.text} Once more.") for p, m in zip(others[:8], members, strict=False)]
    found = validate(members, [*copied, *others[8:]])
    assert {"overlap_13_words", "near_duplicates"} <= faults(found)
    assert f"8 of {len(others)} non-members: {copied[0].id!r}" in found["near_duplicates"].found
    # At most as many as the false positive rate lets pass can't set the threshold on their own.
    few = validate(members, [*copied[:2], *others[2:]])
    assert few["near_duplicates"].verdict == "sound"
    assert copied[1].id in few["near_duplicates"].found
    assert validate(members, [*copied[:2], *others[2:]], asked=Asked(fpr=0.02))["near_duplicates"].verdict == "doubtful"


# --- candidates -------------------------------------------------------------------------------------------------------


def test_candidates_from_the_same_pool_are_sound_and_others_void(pool: list[Passage]) -> None:
    nonmembers, candidates = halves(pool, 0)
    found = validate([], nonmembers, candidates)
    assert found.verdict == "sound", faults(found)
    assert not [check for check in found.checks if check.name.startswith(("blind", "leak", "overlap"))]
    later = validate([], nonmembers, said(candidates, "2023"))
    assert later["shift_words_auroc"].verdict == "void"
    longer = validate([], nonmembers, [replace(p, text=f"{p.text} {p.text}") for p in candidates])
    assert longer["shift_bytes"].verdict == "void"


def test_one_document_of_candidates_cannot_be_cleared(pool: list[Passage]) -> None:
    book = [replace(p, document="book") for p in pool[:40]]
    found = validate([], pool[40:], book)
    assert found["shift_words_auroc"].verdict == "doubtful"
    assert "one document" in found["shift_words_auroc"].found


def test_candidates_that_repeat_the_known_set_are_doubtful(pool: list[Passage]) -> None:
    members, nonmembers, candidates = pool[:50], pool[50:110], pool[110:]
    found = validate(members, nonmembers, [*candidates, *(replace(p, id=f"{p.id}'") for p in members[:10])])
    assert faults(found) == {"candidates_overlap_13_words", "candidates_near_duplicates"}


# --- scores -----------------------------------------------------------------------------------------------------------


def scores(sizes: tuple[int, int], shift: float, seed: int = 0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=sizes[0]) + shift).tolist(), rng.normal(size=sizes[1]).tolist()


def test_what_the_reference_separates_is_subtracted_in_sight(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    target, reference = scores((80, 80), 2.0), scores((80, 80), 1.5, seed=1)
    given = KnownScores(
        {"loss": target[0]}, {"loss": target[1]}, reference_members=reference[0], reference_nonmembers=reference[1]
    )
    found = validate(members, others, scores=given)
    assert found["reference_as_target"].verdict == "void"
    above = found["attack_loss_above_reference"]
    assert 0 < value(above) < 0.2
    assert f"{value(found['reference_as_target']):.3f}" in above.found
    # A target that separates, beside a reference that doesn't, is what an audit is for.
    level = scores((80, 80), 0.0, seed=2)
    given = replace(given, reference_members=level[0], reference_nonmembers=level[1])
    found = validate(members, others, scores=given)
    assert found.verdict == "sound", faults(found)
    assert found["placebo_attack_loss_auroc"].verdict == "sound"


def test_text_that_the_reference_knows_by_heart(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    reference = scores((80, 80), 0.0)
    known = [9.0, 9.0, 9.0, *reference[1][3:]]
    found = validate(members, others, scores=KnownScores(reference_members=reference[0], reference_nonmembers=known))
    assert found["reference_known_text"].verdict == "doubtful"
    assert all(repr(passage.id) in found["reference_known_text"].found for passage in others[:3])


def test_reference_scores_of_candidates_that_differ(pool: list[Passage]) -> None:
    nonmembers, candidates = halves(pool, 0)
    own, others = scores((80, 80), 1.5)
    given = KnownScores(reference_nonmembers=others, reference_candidates=own)
    assert validate([], nonmembers, candidates, scores=given)["shift_reference_auroc"].verdict == "void"
