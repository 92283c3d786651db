"""Sentences that readers of a report had misread: what they say now."""

from __future__ import annotations

from llm_mia.decision import NoteKind
from llm_mia.records import Note, Standing
from llm_mia.report.words import note_words, standing_sentence
from llm_mia.report.words.passages import extractable_words


def test_a_sound_known_set_is_only_one_without_a_fault_that_was_seen() -> None:
    assert standing_sentence(Standing.SOUND) == "No fault of the known set was seen"
    assert standing_sentence(Standing.DOUBTFUL) == "The known set is doubtful"


def test_the_sign_for_no_share_has_the_meaning_that_the_kept_texts_give_it() -> None:
    def ending(kept: int) -> str:
        words = extractable_words(extracted=False, stretch=50, probability=0.001, kept=kept, candidates=9)
        return words.rpartition("means that ")[2]

    assert ending(9) == "no passage of the document has 50 tokens."
    assert ending(0) == "its text is not shown."
    assert ending(4) == "no passage of the document has 50 tokens among the texts that are shown."


def test_a_decision_says_how_the_level_is_divided_unless_a_protocol_divides_it() -> None:
    def words(number: int, allowed: float) -> str:
        return note_words(
            Note(NoteKind.OTHER_DECISIONS, {"number": number, "allowed": allowed, "level": 0.05, "others": []})
        )

    # The first decision has 0.9 of the level; the second 0.1/(2 · 1) of it.
    divided = ", of which the first has 0.9, and decision k has 0.1/(k (k − 1)), so that together they have no more"
    assert words(1, 0.05 * 0.9).endswith(divided)
    assert words(2, 0.05 * 0.05).endswith(divided)
    assert words(2, 0.05 / 3).endswith("divide the level 0.05")
