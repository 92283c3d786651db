"""Input that cannot be validated is refused in a line with a remedy; missing scores are reported and never dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llm_mia.errors import LlmMiaError, PassageError, UsageError
from llm_mia.records import Passage, Standing
from llm_mia.validity import KnownScores, RequestedRates, validate


def passages(name: str, count: int, *, document: str | None = None, words: int = 12) -> list[Passage]:
    rng = np.random.default_rng(len(name) * count)
    texts = [" ".join(f"w{k}" for k in rng.integers(0, 50, words)) for _ in range(count)]
    return [Passage(f"{name}{i}", text, document or f"{name}{i}") for i, text in enumerate(texts)]


MEMBERS, OTHERS = passages("m", 12), passages("n", 24)


def other_scores(**given: Any) -> KnownScores:
    """Scores of a reference model alone."""
    return KnownScores(others={"reference": KnownScores(**given)})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: validate(MEMBERS, []),
            PassageError,
            "^non-members: no passage is given: at least 2 documents of non-members are needed",
        ),
        (lambda: validate([], OTHERS), PassageError, "^members: no passage is given: give members, or candidates"),
        (
            lambda: validate(passages("m", 5, document="book"), OTHERS),
            PassageError,
            "^members: all 5 come from a single document, 'book', .*: give passages of at least 2 documents",
        ),
        (lambda: validate(MEMBERS, OTHERS[:1]), PassageError, "^non-members: all 1 come from a single document, 'n0'"),
        (
            lambda: validate([replace(p, label=0) for p in MEMBERS], OTHERS),
            PassageError,
            "^members: 12 have the label 0 .'m0', 'm1', 'm2', 'm3', 'm4' and 7 more.: give them to the other set",
        ),
        (lambda: validate(MEMBERS, [replace(p, label=1) for p in OTHERS]), PassageError, "^non-members: 24 have"),
        (
            lambda: validate(MEMBERS, OTHERS, scores=KnownScores(members={"loss": [0.0]})),
            UsageError,
            "^attack loss: 1 scores for 12 members: give a score for each, in their order",
        ),
        (
            lambda: validate(MEMBERS, OTHERS, scores=other_scores(candidates={"loss": [0.0]})),
            UsageError,
            "^reference loss: 1 scores for 0 candidates",
        ),
        (lambda: RequestedRates(fpr=0.0), UsageError, "^`fpr` must lie between 0 and 1, both excluded: got 0"),
        (lambda: RequestedRates(tpr_at=(0.1, 1.0)), UsageError, "^`tpr_at` must lie between 0 and 1"),
        (
            lambda: RequestedRates(confidence=95.0),
            UsageError,
            "^`confidence` must lie between 0 and 1, both excluded: got 95",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_missing_scores_are_reported_by_id_and_never_dropped() -> None:
    bad = [float("nan"), float("inf"), *range(10)]
    by_reference = other_scores(members={"loss": range(12)}, nonmembers={"loss": range(24)})
    given = replace(by_reference, members={"loss": bad}, nonmembers={"loss": range(24)})
    result = validate(MEMBERS, OTHERS, scores=given)
    assert result["scores_attack_loss"].verdict == "doubtful"
    assert result["scores_attack_loss"].figure == pytest.approx(2 / 36)
    assert result["scores_attack_loss"].details == "2 NaN or infinite: 'm0', 'm1'"
    assert result["scores_reference"].verdict == "sound"
    result = validate(MEMBERS, OTHERS, scores=replace(given, nonmembers={"loss": [*range(23), float("nan")]}))
    assert result["placebo_attack_loss_auroc"].details.startswith("1 NaN (taken as lowest) or infinite: 'n23'")
    assert json.loads(result.to_json())["standing"] == result.standing


def test_scores_of_one_set_only_skip_what_needs_both() -> None:
    given = replace(other_scores(nonmembers={"loss": range(24)}), members={"loss": range(12)})
    result = validate(MEMBERS, OTHERS, scores=given)
    assert result["reference_members_loss_auroc"].verdict == "skipped"
    assert result["reference_members_loss_auroc"].details == "no scores of members were given"
    assert result["placebo_attack_loss_auroc"].details == "no scores of non-members were given"
    assert result["reference_members_loss_auroc"].figure is None


def test_equal_scores_carry_no_information() -> None:
    by_reference = other_scores(members={"loss": [0.0] * 12}, nonmembers={"loss": [0.0] * 24})
    equal = replace(by_reference, members={"loss": [1.5] * 12}, nonmembers={"loss": [1.5] * 24})
    result = validate(MEMBERS, OTHERS, scores=equal)
    assert result["scores_attack_loss"].verdict == "doubtful"
    assert "all 36 scores equal 1.5" in result["scores_attack_loss"].details
    assert result["reference_members_loss_auroc"].verdict == "skipped"
    assert result["reference_known_text"].figure == 0


# --- too few documents ------------------------------------------------------------------------------------------------


def test_too_few_documents_for_any_difference_to_show_withhold_findings() -> None:
    few = [replace(p, document=f"book {i % 3}") for i, p in enumerate(MEMBERS)]
    others = [replace(p, document=f"novel {i % 4}") for i, p in enumerate(OTHERS)]
    result = validate(few, others, rates=RequestedRates(0.4))
    assert result["blind_words_auroc"].verdict == "untestable"
    assert result.standing is Standing.UNTESTABLE
    assert result.standing.withholds
    assert result["blind_words_auroc"].details == (
        "3 and 4 documents: too few to distinguish any difference from chance; at least 7 of each are needed"
    )
    assert result["placebo_words_auroc"].verdict == "skipped"
    assert {check.verdict for check in result.checks if check.name.startswith("leak")} == {"skipped"}
    # As many documents as the message names can be tested, though hardly.
    enough = [replace(p, document=f"1 {i % 7}") for i, p in enumerate(MEMBERS)]
    others = [replace(p, document=f"2 {i % 7}") for i, p in enumerate(OTHERS)]
    result = validate(enough, others, rates=RequestedRates(0.4))
    assert result.standing == "doubtful"
    assert "would look like chance" in result["blind_counts_auroc"].details


def test_two_vocabularies_are_void_by_passage_and_untestable_by_document() -> None:
    # Books 1 to 3 of a series against books 4 to 7: another plot, and other names.
    first, second = passages("early", 60), passages("late", 80)
    second = [replace(p, text=p.text.replace("w1", "v1").replace("w2", "v2")) for p in second]
    assert validate(first, second).standing == "void"
    first = [replace(p, document=f"book {1 + i % 3}") for i, p in enumerate(first)]
    second = [replace(p, document=f"book {4 + i % 4}") for i, p in enumerate(second)]
    assert validate(first, second).standing == "untestable"


def with_text(text: str) -> list[list[Passage]]:
    """Both sets with this text in every passage, each a document by name."""
    return [[replace(p, text=text, document=f"book {p.id}") for p in known] for known in (MEMBERS, OTHERS)]


def test_a_set_of_a_single_text_is_refused() -> None:
    with pytest.raises(PassageError, match=r"members: all 12 have the same text, .* at least 2 different texts"):
        validate([replace(p, text="A river.", document=p.id) for p in MEMBERS], OTHERS)


@pytest.mark.parametrize("text", ["…", "日本語のテキスト", "a" * 5000, "\x00", "🙂 🙃"])
def test_a_text_in_both_classes_is_void(text: str) -> None:
    result = validate(*with_text(text))
    assert result["near_duplicates"].verdict == result["overlap_13_words"].verdict == "void"
    assert result["blind_words_auroc"].verdict == "sound"


@pytest.mark.parametrize("text", ["", " \n"])
def test_texts_without_words_share_nothing(text: str) -> None:
    result = validate(*with_text(text))
    assert result["near_duplicates"].figure == result["overlap_13_words"].figure == 0
    assert json.loads(result.to_json())["checks"]


def test_imports_nothing_heavy() -> None:
    script = (
        "import sys, llm_mia.validity; print([name for name in ('sklearn', 'scipy', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
