"""A table whose known non-members are not those that set the threshold: how many of them are above it is said."""

from __future__ import annotations

import numpy as np
import pytest

from llm_mia import ScoreTable, calibrate, flag
from llm_mia.decision import Calibration, NoteKind
from llm_mia.errors import CalibrationError
from llm_mia.records import Note
from llm_mia.report import note_words

N, CANDIDATES = 100, 60


def table(seed: int, shift: float = 0.0, known: int = N) -> ScoreTable:
    scores = np.random.default_rng(seed).normal(size=known + CANDIDATES) + shift
    return ScoreTable.of(scores, [*[0] * known, *[None] * CANDIDATES])


@pytest.fixture
def calibration() -> Calibration:
    return calibrate(table(0), "score", fpr=0.05)


def notes_of(scores: ScoreTable, calibration: Calibration) -> list[Note]:
    return [note for note in flag(scores, calibration).notes if note.kind == NoteKind.OTHER_NONMEMBERS]


def test_the_share_above_the_threshold_is_noted(calibration: Calibration) -> None:
    other = table(1)
    above = int((other.column("score")[:N] > calibration.threshold).sum())
    [note] = notes_of(other, calibration)
    assert note.figures == {"above": above, "nonmembers": N, "fpr": 0.05}
    assert note_words(note) == (
        f"the known non-members of this table did not set the threshold; {above} of 100 of them are above it, and of "
        "non-members like those that set it at most 5 % are expected to be"
    )


def test_the_table_that_was_calibrated_and_candidates_alone_have_no_such_note(calibration: Calibration) -> None:
    assert notes_of(table(0), calibration) == []
    assert notes_of(table(1, known=0), calibration) == []


def test_where_the_rate_does_not_hold_nothing_is_decided(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match=r"100 of its 100 known non-members are above .*: calibrate this table"):
        flag(table(1, shift=9.0), calibration)


def test_non_members_of_the_same_kind_are_refused_at_most_once_in_a_thousand() -> None:
    refused, repeats = 0, 600
    for seed in range(repeats):
        try:
            flag(table(2 * seed), calibrate(table(2 * seed + 1), "score", fpr=0.05))
        except CalibrationError:
            refused += 1
    assert refused <= 4  # at most as a Poisson variable of mean 0.6, which is larger with probability 0.0004
