"""Attacks on texts with which the model continues a passage: by hand, by the authors' code, and in a run."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from llm_mia import ModelSpec, audit, estimate, read_scores, score
from llm_mia.attacks import Samples, parse_attack, split_passage
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.defenses.outputs import replay
from llm_mia.errors import AttackError, ModelError, RunDirectoryError, UsageError
from llm_mia.records import CONTINUATIONS, FIELDS
from llm_mia.report import write_report
from llm_mia.rewriting import draws
from llm_mia.scoring import attacks_for
from llm_mia.signals import Limits, Supplies
from llm_mia.store import read_run, read_signals

from .conftest import pretend, sentences

steady = settings(derandomize=True, deadline=None, max_examples=40)
NUMBERED = [f"{number}: {text}" for number, text in enumerate(sentences(30, seed=3, longest=20))]
TEXTS = [*NUMBERED, "Alone", *NUMBERED[:2]]
SPECS = ["samia", "ngram_coverage"]
SUPPLIES = Supplies(samples=3, sample_tokens=24, seed=4)


def score_of(spec: str, rest: str, *texts: str) -> float:
    return parse_attack(spec).score({"samples": Samples(rest, texts)})


REST = "the river bends twice, the river ends"  # 7 words; 8 words and marks
SAME, HALF, OTHER = REST, "a river bends twice, and", "Seven geese"
BY_HAND: list[tuple[str, Sequence[str], float]] = [
    ("samia", [SAME], 1.0),
    ("samia", [HALF, OTHER], 3 / 7 / 2),  # river, bends, twice,
    ("samia", ["the the the", OTHER], 2 / 7 / 2),  # of three only two are in the rest
    ("samia:n=2", [HALF], 2 / 6),  # river bends, bends twice,
    ("samia:weighting=zlib", [SAME, OTHER], len(zlib.compress(REST.encode())) / 2),
    ("samia", [""], 0.0),
    ("ngram_coverage", [HALF, OTHER], 4 / 6),  # river bends twice , of: a river bends twice , and
    ("ngram_coverage:aggregate=mean", [HALF, OTHER], 2 / 6),
    ("ngram_coverage:aggregate=median", [SAME, HALF, OTHER], 4 / 6),
    ("ngram_coverage:aggregate=min", [SAME, HALF], 4 / 6),
    ("ngram_coverage:n=5", [HALF], 0.0),
    ("ngram_coverage:measure=creativity", [HALF], 2 * 4 / 6),  # by 3 and by 4 words
    ("ngram_coverage:measure=words", [HALF, OTHER], 4.0),
    ("ngram_coverage:measure=characters", [HALF, OTHER], 20.0),  # " river bends twice, "
    ("ngram_coverage", ["", "\n"], 0.0),
]


@pytest.mark.parametrize(("spec", "texts", "expected"), BY_HAND)
def test_by_hand(spec: str, texts: Sequence[str], expected: float) -> None:
    assert score_of(spec, REST, *texts) == pytest.approx(expected, rel=1e-12)


def seeded_words(count: int) -> list[str]:
    """Texts of 24 words of few kinds."""
    rng = random.Random(count)
    return [" ".join(rng.choices(WORDS, k=24)) for _ in range(count)]


WORDS = ["river", "bends", "under", "stone", "bridge", "anna", "counts", "seven", "geese", "twice"]


def seeded(seed: int) -> tuple[str, list[str]]:
    """A rest of 25 words, and four texts that repeat pieces of it among other words."""
    rng = random.Random(seed)
    rest, texts = rng.choices(WORDS, k=25), []
    for _ in range(4):
        words: list[str] = []
        while len(words) < 30:
            at = rng.randrange(20) if rng.random() < 0.4 else None
            words += [rng.choice(WORDS)] if at is None else rest[at : at + rng.randint(2, 14)]
        texts.append(" ".join(words))
    return " ".join(rest), texts


# What the authors' functions gave on `seeded(0)`: the mean of rouge_n of nlp-titech/samia src/eval_samia.py; and
# find_exact_match, get_ngram_coverage (gen_length), compute_modified_creativity_index (3 to 12) and
# find_max_common_sublist_length of shallinan1/NGramCoverageAttack, with words split at spaces. No word begins with
# another, because there n-grams are compared as strings. On 200 seeds no score differed by more than 2e-14.
AUTHORS = {
    "samia": 0.89,
    "samia:n=2": 0.65625,  # times 25 / 24: they divide by the number of words
    "ngram_coverage": 0.925,
    "ngram_coverage:aggregate=mean": 0.7650102783048703,
    "ngram_coverage:aggregate=median": 0.857843137254902,
    "ngram_coverage:aggregate=min": 0.41935483870967744,
    "ngram_coverage:measure=creativity": 8.75,
    "ngram_coverage:measure=creativity,aggregate=mean": 5.806080012650222,
    "ngram_coverage:measure=words": 14.0,
    "ngram_coverage:measure=words,aggregate=median": 13.5,
    "ngram_coverage:measure=characters": 85.0,
    "ngram_coverage:measure=characters,aggregate=mean": 70.25,
}


def test_the_authors_code_on_the_same_texts() -> None:
    rest, texts = seeded(0)
    assert {spec: score_of(spec, rest, *texts) for spec in AUTHORS} == pytest.approx(AUTHORS, rel=1e-12)
    sizes = [len(zlib.compress(text.encode())) for text in texts]  # zlib builds differ in a byte or two
    recalls = [score_of("samia", rest, text) for text in texts]
    weighted = float(np.mean(np.multiply(sizes, recalls)))
    assert score_of("samia:weighting=zlib", rest, *texts) == pytest.approx(weighted, rel=1e-12)


texts_of = st.lists(st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join), min_size=1, max_size=4)


@steady
@given(st.lists(st.sampled_from(WORDS), min_size=3, max_size=20).map(" ".join), texts_of)
def test_what_holds_for_any_texts(rest: str, texts: list[str]) -> None:
    """A continuation that is the rest scores highest, and the longest text in common is what a plain search gives."""
    for spec in ("samia", "samia:n=2", *(f"ngram_coverage:measure={m}" for m in ("coverage", "words", "characters"))):
        assert 0 <= score_of(spec, rest, *texts) <= score_of(spec, rest, rest)
    runs = {rest[a:b] for a in range(len(rest)) for b in range(a + 1, len(rest) + 1)}
    longest = max((len(run) for run in runs for text in texts if run in text), default=0)
    assert score_of("ngram_coverage:measure=characters", rest, *texts) == longest


@pytest.mark.parametrize("spec", [*SPECS, "samia:weighting=zlib", "ngram_coverage:measure=words"])
def test_a_passage_too_short_has_no_score(spec: str) -> None:
    assert math.isnan(score_of(spec, ""))
    assert math.isnan(score_of(f"{spec},n=9" if ":" in spec else f"{spec}:n=9", REST, SAME))


@pytest.mark.parametrize(
    ("text", "share", "parts"),
    [
        ("The river  bends twice. ", 0.5, ("The river", "bends twice. ")),
        ("The river bends", 0.5, ("The", "river bends")),  # rounded down
        ("ab cd ef gh ij kl mn op qr st", 0.3, ("ab cd ef", "gh ij kl mn op qr st")),  # 3 although 10 · 0.3 < 3
        ("河流在石桥下弯曲", 0.5, ("河流在石", "桥下弯曲")),
        ("one", 0.5, None),
        ("", 0.5, None),
        ("one two", 0.3, None),
    ],
)
def test_where_a_passage_is_divided(text: str, share: float, parts: tuple[str, str] | None) -> None:
    assert split_passage(text, share) == parts


# In a run


class Counting(FakeBackend):
    """Notes what it continues, and stops where it is told to."""

    def __init__(self, seed: int = 0, *, stops_after: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.prompts: list[str] = []
        self.stops_after = stops_after
        self.tokens_per_batch = 200  # two passages at once

    def sample(self, prompts: Sequence[str], **options: Any) -> list[list[str]]:
        if self.stops_after is not None and len(self.prompts) >= self.stops_after:
            raise KeyboardInterrupt
        self.prompts += prompts
        return super().sample(prompts, **options)


def test_scores_are_those_of_what_the_model_writes(tmp_path: Path) -> None:
    backend = Counting()
    table = score(TEXTS, backend, attacks=SPECS, supplies=SUPPLIES, out=tmp_path / "run")
    for row, text in enumerate(TEXTS):
        parts = split_passage(text, 0.5)
        if parts is None:
            assert math.isnan(table.column("samia")[row])
            continue
        [texts] = FakeBackend(0).sample([parts[0]], number=3, max_tokens=24, temperature=1.0, seed=4)
        for spec in SPECS:
            np.testing.assert_equal(table.column(spec)[row], score_of(spec, parts[1], *texts))
    divided = [parts[0] for text in TEXTS if (parts := split_passage(text, 0.5))]
    assert sorted(backend.prompts) == sorted({*divided}), "each text is continued once"
    run = read_run(tmp_path / "run")
    assert [*run.passes] == ["samples"], "no attack reads signals"
    assert run.passes["samples"].depends == {
        "samples": {"number": 3, "tokens": 24, "prefix_share": 0.5, "temperature": 1.0, "seed": 4}
    }


def test_more_attacks_ask_for_nothing_again_and_other_settings_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    score(TEXTS, Counting(), attacks=["samia"], supplies=SUPPLIES, out=out)
    again = Counting()
    table = score(TEXTS, again, attacks=["loss", "ngram_coverage:measure=words"], supplies=SUPPLIES, out=out)
    assert [*table.columns] == ["samia", "loss", "ngram_coverage:measure=words"]
    assert again.prompts == []
    for changed in (replace(SUPPLIES, samples=4), replace(SUPPLIES, sample_temperature=0.5)):
        with pytest.raises(
            RunDirectoryError, match=r"belongs to another run \(samples: samples (number 3|temperature 1)"
        ):
            score(TEXTS, again, attacks=["samia"], supplies=changed, out=out)


@pytest.mark.parametrize("stops_after", [2, 12, 28])
def test_a_run_that_is_stopped_continues(stops_after: int, tmp_path: Path) -> None:
    whole = score(TEXTS, Counting(), attacks=SPECS, supplies=SUPPLIES, out=tmp_path / "whole")
    first, limits = Counting(stops_after=stops_after), Limits(part_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        score(TEXTS, first, attacks=SPECS, supplies=SUPPLIES, out=tmp_path / "run", limits=limits)
    second = Counting()
    table = score(TEXTS, second, attacks=SPECS, supplies=SUPPLIES, out=tmp_path / "run")
    for spec in SPECS:
        np.testing.assert_array_equal(table.column(spec), whole.column(spec))
    assert not {*first.prompts} & {*second.prompts}, "nothing is asked for twice"
    texts = [
        [chunk.texts(row) for chunk in read_signals(tmp_path / name, "samples").chunks() for row in range(len(chunk))]
        for name in ("run", "whole")
    ]
    assert texts[0] == texts[1]


def test_the_cost_comes_before_the_run(tmp_path: Path) -> None:
    planned = estimate(score, TEXTS, Counting(), attacks=SPECS, supplies=SUPPLIES, out=tmp_path / "run").passes
    assert [(each.name, each.passages, each.continuations, each.tokens) for each in planned] == [
        ("samples", 31, 93, 93 * 24)
    ], "of 33 passages two are copies"
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_sampled_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"^attack 'samia' needs texts with .*: give their number as `samples`, such"):
        score(TEXTS, FakeBackend(0), attacks=["samia"], out=tmp_path / "run")
    silent = FakeBackend(0, offers=FIELDS)
    with pytest.raises(AttackError, match=r"attack 'samia' cannot run: the target model gives no continuations$"):
        score(TEXTS, silent, attacks=["samia"], supplies=SUPPLIES, out=tmp_path / "run")
    offers = {"target": silent.offers}
    selection = attacks_for(["all"], SUPPLIES.load(), offers)
    assert not [attack for attack in selection.attacks if "samples" in attack.evidence]
    assert any("the target model gives no continuations, so there is no samia, " in note for note in selection.notes)
    assert CONTINUATIONS in FakeBackend(0).offers & ModelSpec("any").offers


def test_who_gives_samples_gets_the_attacks_and_nobody_else() -> None:
    names = [attack.name for attack in attacks_for([], SUPPLIES.load()).attacks]
    assert {"samia", "samia:weighting=zlib", "ngram_coverage", "ngram_coverage:measure=words"} <= {*names}
    assert not [attack for attack in attacks_for(["all"]).attacks if "samples" in attack.evidence]


def test_only_texts_no_probabilities(tmp_path: Path) -> None:
    """A model that shows nothing but what it writes."""

    class Closed(FakeBackend):
        def score(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("no attack reads signals")

    closed = Closed(0, offers={CONTINUATIONS})
    table = score(TEXTS, closed, supplies=SUPPLIES, out=tmp_path / "run")
    assert [name.partition(":")[0] for name in table.columns] == ["samia"] * 2 + ["ngram_coverage"] * 4
    assert read_scores(tmp_path / "run").record is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "`samples` is 0: it must be at least 1"),
        ({"sample_tokens": 0}, "`sample_tokens` is 0: it must be at least 1"),
        ({"prefix_share": 1.0}, "`prefix_share` is 1: it must be between 0 and 1"),
        ({"prefix_share": math.nan}, "`prefix_share` is nan: it must be between 0 and 1"),
        ({"sample_temperature": 0.0}, "`sample_temperature` is 0: it must be a number above 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SUPPLIES, **changes).load()


def test_a_backend_that_gives_too_few_texts_is_refused(tmp_path: Path) -> None:
    class Short(FakeBackend):
        def sample(self, prompts: Sequence[str], **options: Any) -> list[list[str]]:
            return super().sample(prompts, **options)[:-1]

    short = Short(0)
    short.tokens_per_batch = 200  # two passages at once
    with pytest.raises(ModelError, match="the model gave 3 continuations of 2 prompts, and 3 of each were wanted"):
        score(TEXTS, short, attacks=["samia"], supplies=SUPPLIES, out=tmp_path / "run")


def test_a_local_model_that_knows_its_members_by_heart(tiny: str, tmp_path: Path) -> None:
    """It learns seven texts; others of the same kind it has never read. Members score higher, each of them."""
    import torch

    from llm_mia.backends import load_model

    members, others = sentences(14, seed=50, longest=24)[:7], sentences(14, seed=51, longest=24)[:7]
    backend: Any = load_model(tiny, dtype="float32", compiled=False)
    optimizer = torch.optim.AdamW(backend.model.parameters(), lr=1e-2)
    encoded = [torch.from_numpy(ids).long()[None] for ids in backend.encode(members)]
    for _ in range(25):
        for ids in encoded:
            backend.model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    supplies = Supplies(samples=4, sample_tokens=16)
    learned = load_model(backend.model, tokenizer=backend.tokenizer, compiled=False)
    table = score([*members, *others], learned, attacks=SPECS, supplies=supplies, out=tmp_path / "run")
    for spec in SPECS:
        scores = table.column(spec)
        known = ~np.isnan(scores)
        assert known[:7].sum() >= 5
        assert np.nanmean(scores[:7]) > 2 * np.nanmean(scores[7:])


def test_no_mask_of_log_probabilities_hides_what_the_model_writes(tmp_path: Path) -> None:
    rows = [{"text": text, "label": number % 2} for number, text in enumerate(NUMBERED)]
    table = score(rows, FakeBackend(0), attacks=["loss", "samia"], supplies=SUPPLIES, out=tmp_path / "run")
    for defense in ("sampled_text:queries=one", "top_k:k=5", "none"):
        shown = replay(rows, tmp_path / "run", defense, ["loss", "samia"])
        variants = [name for name in shown.columns if name.startswith("samia")]
        assert variants
        for name in variants:
            np.testing.assert_array_equal(shown.column(name), table.column("samia"))
    assert "loss" in replay(rows, tmp_path / "run", "sampled_text:queries=one", ["loss", "samia"]).no_scores


KILLED = """
import os, signal, sys
from llm_mia import score
from llm_mia.backends.fake import FakeBackend
from llm_mia.signals import Limits, Supplies
from tests.test_attacks_samples import SUPPLIES, TEXTS

class Killed(FakeBackend):
    prompts = 0

    def sample(self, prompts, **options):
        self.prompts += len(prompts)
        if self.prompts > 12:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(prompts, **options)

backend = Killed(0)
backend.tokens_per_batch = 200
score(TEXTS, backend, attacks=["samia"], supplies=SUPPLIES, out=sys.argv[1], limits=Limits(part_seconds=0.0))
"""


def test_a_run_that_is_killed_continues(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [(part.first, part.last) for part in read_signals(out, "samples").parts()][-1] == (10, 11)
    second = Counting()
    table = score(TEXTS, second, attacks=["samia"], supplies=SUPPLIES, out=out)
    assert len(second.prompts) == 30 - 12
    whole = score(TEXTS, Counting(), attacks=["samia"], supplies=SUPPLIES, out=tmp_path / "whole")
    np.testing.assert_array_equal(table.column("samia"), whole.column("samia"))


class Parrot(FakeBackend):
    """Shows texts alone: it continues what it has read by heart, every second time, and all else by drawn words."""

    def __init__(self, read: Sequence[str]) -> None:
        super().__init__(0, offers={CONTINUATIONS})
        self.rests = dict(filter(None, (split_passage(text, 0.5) for text in read)))

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        def text(prompt: str, at: int) -> str:
            words = [WORDS[drawn % len(WORDS)] for drawn in draws(f"{seed} {at}", prompt, max_tokens)]
            return " ".join([self.rests[prompt]] if prompt in self.rests and at % 2 else words)

        return [[text(prompt, at) for at in range(number)] for prompt in prompts]


def test_an_audit_of_a_model_that_shows_texts_alone(tmp_path: Path) -> None:
    texts = [f"{number}: {text}" for number, text in enumerate(seeded_words(150))]
    done = audit(
        texts[60:], target=Parrot(texts[60:100]), nonmembers=texts[:60], attacks=["samia"], accept_void=True,
        supplies=Supplies(samples=4, sample_tokens=12), stand_in="none", history=tmp_path / "history",
        out=tmp_path / "run",
    )  # fmt: skip
    flagged = {row.id for row in done.flags.rows if row.flagged}
    members = {row.id for row in done.flags.rows[:40]}
    assert len(flagged & members) >= 36
    assert [*done.passes] == ["samples"]
    write_report(done.path)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "fake-0" in page


def test_the_command_line(
    write_jsonl: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    texts = write_jsonl("in.jsonl", [{"text": text} for text in TEXTS[:30]])
    command = ["score", texts, "-m", "m", "-a", "samia", "-o", str(tmp_path / "run")]
    assert main(command) == 2
    assert "give their number as --samples, such as 10" in capsys.readouterr().err
    command += ["--samples", "2", "--sample-tokens", "8", "--prefix-share", "0.4", "--sample-temperature", "0.9"]
    assert main([*command, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "  samples  30 passages, 60 continuations, at most 480 tokens: about " in out
    assert main(command) == 0
    assert read_run(tmp_path / "run").passes["samples"].depends["samples"] == {
        "number": 2, "tokens": 8, "prefix_share": 0.4, "temperature": 0.9, "seed": 0,
    }  # fmt: skip
    capsys.readouterr()
    assert main([*command[:-1], "0"]) == 2
    assert "--sample-temperature is 0: it must be a number above 0" in capsys.readouterr().err
