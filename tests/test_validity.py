"""Known sets that are sound by construction, and known sets with a planted fault each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from llm_mia.records import SCHEMA_VERSION, Interval, Passage
from llm_mia.validity import Check, RequestedRates, Validity, validate

WORDS = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "e", "io", "u") for c in ("n", "r", "st", "lk")])
COMMON = 1 / np.arange(1, len(WORDS) + 1)  # as Zipf has it


def corpus(documents: int, passages: int = 1, *, seed: int, topic: float = 0.0, name: str = "doc") -> list[Passage]:
    """Passages of 30 words or so; a share *topic* of the words of each comes from ten that only its document has."""
    rng = np.random.default_rng(seed)
    result = []
    for document in range(documents):
        topic_words = [f"{word}{document}" for word in rng.choice(WORDS, 10)]
        for passage in range(passages):
            drawn = rng.choice(WORDS, rng.integers(20, 40), p=COMMON / COMMON.sum())
            text = " ".join(rng.choice(topic_words) if rng.random() < topic else word for word in drawn)
            result.append(Passage(f"{name}{document}-{passage}", f"{text.capitalize()}.", f"{name}{document}"))
    return result


def halves(passages: Sequence[Passage], seed: int, *, by_document: bool = True) -> tuple[list[Passage], list[Passage]]:
    rng = np.random.default_rng(seed)
    keys = [passage.document if by_document else passage.id for passage in passages]
    names = sorted(set(keys))
    chosen = set(rng.permutation(names)[: len(names) // 2].tolist())
    first = [passage for passage, key in zip(passages, keys, strict=True) if key in chosen]
    return first, [passage for passage, key in zip(passages, keys, strict=True) if key not in chosen]


def append_words(passages: Sequence[Passage], words: str, share: float = 1.0) -> list[Passage]:
    """The same passages, *words* at the end of the first *share* of them."""
    count = round(share * len(passages))
    return [replace(p, text=f"{p.text} {words}") if i < count else p for i, p in enumerate(passages)]


def value(check: Check) -> float:
    assert check.figure is not None
    return check.figure.value if isinstance(check.figure, Interval) else check.figure


def faults(result: Validity) -> set[str]:
    return {check.name for check in result.checks if check.is_fault}


@pytest.fixture(scope="module")
def pool() -> list[Passage]:
    """160 documents of one passage, all from one distribution."""
    return corpus(160, seed=1)


# --- sound ------------------------------------------------------------------------------------------------------------


def test_random_splits_are_sound(pool: list[Passage]) -> None:
    result = [validate(*halves(pool, seed), seed=seed) for seed in range(8)]
    assert sum(each.standing == "not_checked" for each in result) >= 7, [faults(each) for each in result]


@pytest.mark.slow
def test_random_splits_are_sound_in_95_of_100(pool: list[Passage]) -> None:
    result = [validate(*halves(pool, seed), seed=seed) for seed in range(200)]
    assert np.mean([each.standing == "not_checked" for each in result]) >= 0.95
    for name in ("blind_words_auroc", "blind_counts_auroc"):
        values = [value(each[name]) for each in result]
        assert abs(np.mean(values) - 0.5) < 4 * np.std(values) / np.sqrt(len(values))


def test_documents_with_topics_are_sound_by_document_and_void_without() -> None:
    passages = corpus(60, 6, seed=2, topic=0.4)
    members, others = halves(passages, 0)
    assert validate(members, others).standing == "not_checked"
    # The same texts, each as a separate document: what folds by passage would show.
    apart = validate(*([replace(p, document=p.id) for p in each] for each in (members, others)))
    assert apart["blind_words_auroc"].verdict == "void"
    assert value(apart["blind_words_auroc"]) > 0.9
    for name in ("blind_words_auroc", "blind_counts_auroc"):
        points = apart[name].roc
        assert points is not None
        # 360 passages give at most 200 corners of the ROC here, so the area under the kept points is the AUROC itself.
        assert np.trapezoid(points.tpr, points.fpr) == pytest.approx(value(apart[name]), abs=1e-9)
    assert {check.name for check in apart.checks if check.roc} == {"blind_words_auroc", "blind_counts_auroc"}


def test_passages_of_shared_documents_are_sound_and_noted() -> None:
    members, others = halves(corpus(40, 6, seed=3, topic=0.3), 0, by_document=False)
    result = validate(members, others)
    assert result.standing == "not_checked", faults(result)
    both = result["documents_in_both_classes"]
    assert value(both) > 0.9
    assert "'doc0'" in both.details


def test_row_numbers_of_two_files_are_no_shared_documents(pool: list[Passage]) -> None:
    numbered = [[Passage(str(i), p.text, str(i)) for i, p in enumerate(each)] for each in halves(pool, 0)]
    assert value(validate(*numbered)["documents_in_both_classes"]) == 0


def test_same_arguments_same_answer(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    assert validate(members, others, seed=3) == validate(members, others, seed=3)


# --- the answer -------------------------------------------------------------------------------------------------------


def test_size_checks_give_the_necessary_number(pool: list[Passage]) -> None:
    members, others = halves(pool, 0)
    rates = RequestedRates(fpr=0.01, confidence=0.95, tpr_at=(0.001, 0.1))
    result = {
        check.name: check for check in validate(members, others, rates=rates).checks if check.name.startswith("size")
    }
    assert {name: check.verdict for name, check in result.items()} == {
        "size_fpr_0.01": "void",
        "size_fpr_0.01_documents": "untestable",
        "size_fpr_0.01_confidence_0.95": "void",
        "size_fpr_0.01_confidence_0.95_documents": "untestable",
        "size_tpr_at_fpr_0.001": "doubtful",
        "size_tpr_at_fpr_0.1": "sound",
    }
    assert "299" in result["size_fpr_0.01_confidence_0.95"].remedy
    assert {value(check) for check in result.values()} == {80.0}


def test_small_sets_show_how_little_they_detect() -> None:
    result = validate(corpus(12, seed=1), corpus(25, seed=2, name="other"))
    for name in ("blind_words_auroc", "blind_counts_auroc"):
        check = result[name]
        assert check.verdict == "doubtful"
        assert check.detectable is not None
        assert check.detectable > 0.8
        assert "so few documents that an AUROC of 0.8 would look like chance" in check.details
    assert result.standing == "doubtful"


def test_json_keeps_numbers(pool: list[Passage]) -> None:
    result = validate(*halves(pool, 0))
    document = json.loads(result.to_json())
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["standing"] == result.standing
    assert [check["name"] for check in document["checks"]] == [check.name for check in result.checks]
    assert len({check.name for check in result.checks}) == len(result.checks)
    for check, written in zip(result.checks, document["checks"], strict=True):
        keys = ["name", "figure", "verdict", "why", "remedy", "p_value", "detectable", "details", "ids"]
        assert list(written) == keys
        assert written["detectable"] == check.detectable
        if isinstance(check.figure, Interval):
            assert written["figure"]["low"] == check.figure.low
        else:
            assert written["figure"] == check.figure
        assert check.why.endswith(".")
        assert check.remedy.endswith(".")
    assert Validity.of([], compared=True).standing is None
    with pytest.raises(KeyError, match="blind_wrods"):
        _ = result["blind_wrods"]
