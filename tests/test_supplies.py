"""What attacks need besides the models: shots, a population, token frequencies, rewritten texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mia import ModelSpec, calibrate, flag, read_passages, score
from llm_mia.attacks import parse_attack
from llm_mia.backends import Backend, load_rewriter
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import (
    AttackError,
    CalibrationError,
    InputError,
    ModelError,
    PassageError,
    RunDirectoryError,
    UsageError,
)
from llm_mia.passages import Passages
from llm_mia.records import Population, TokenSignals, Window
from llm_mia.rewriting import neighbour
from llm_mia.scoring import attacks_for, score_to_disk
from llm_mia.signals import Supplies, count_frequencies, cut, window_rule
from llm_mia.store import read_run

from .conftest import sentences

pytestmark = pytest.mark.precision
TEXTS = sentences(24, seed=21)
SHOTS = [{"text": text, "label": label} for label in (0, 1) for text in sentences(2, seed=30 + label, longest=6)]
CROWD = [{"text": text} for text in sentences(30, seed=40)]
Rows = list[dict[str, Any]]
Write = Callable[[str, Rows], str]


@pytest.fixture
def passages(write_jsonl: Write) -> Passages:
    return read_passages(write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(TEXTS)]))


def signals_of(model: Backend, text: str) -> TokenSignals:
    [window] = cut(model.encode([text])[0], window_rule(model.info.context), opening=model.opening)
    return model.score([window])[0]


def everything(write_jsonl: Write, target: str) -> Supplies:
    corpus = read_passages(write_jsonl("corpus.jsonl", [{"text": text} for text in TEXTS * 2]))
    return Supplies(
        shots=write_jsonl("shots.jsonl", SHOTS),
        population=write_jsonl("crowd.jsonl", CROWD),
        frequencies=count_frequencies(corpus, ModelSpec(target).tokenizer()),
        neighbours=3,
    )


# What each attack is given


def test_shots_stand_before_every_passage_and_its_tokens_alone_are_scored(
    tiny: str, tiny_bos: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    shots = write_jsonl("shots.jsonl", SHOTS)
    for name in (tiny, tiny_bos):
        out = tmp_path / Path(name).name
        spec = ModelSpec(name, dtype="float32")
        table = score(passages, spec, attacks=["recall", "con_recall"], supplies=Supplies(shots=shots), out=out)
        model = spec.load(compiled=False)
        whole_ones = 0
        for row, text in enumerate(TEXTS):
            tokens = model.encode([text])[0]
            if len(tokens) > 20:  # with the shots too long for the model, so it is cut into windows
                continue
            whole_ones += 1
            evidence: dict[str, Any] = {"target": signals_of(model, text)}
            for label, kind in enumerate(("prefixed", "member_prefixed")):
                before = "".join(f"{shot['text']}\n" for shot in SHOTS if shot["label"] == label)
                whole = np.array([*model.opening, *model.encode([before])[0], *tokens], dtype=np.int32)
                scored = len(evidence["target"])
                evidence[kind] = model.score([Window(whole, len(whole) - scored)])[0]
                np.testing.assert_array_equal(evidence[kind].token_ids, evidence["target"].token_ids)
            for attack in ("recall", "con_recall"):
                expected = parse_attack(attack).score(evidence)
                assert table.column(attack)[row] == pytest.approx(expected, abs=2e-5)
        assert whole_ones >= 5


def test_every_neighbour_is_a_pass_and_the_attack_sees_them_all(
    fake: Backend, passages: Passages, tmp_path: Path
) -> None:
    table = score(
        passages, fake, attacks=["neighbour", "pac"], supplies=Supplies(neighbours=3, seed=5), out=tmp_path / "run"
    )
    expected = [
        parse_attack("neighbour").score(
            {
                "target": signals_of(fake, text),
                "neighbours": tuple(signals_of(fake, neighbour(text, number, seed=5)) for number in range(3)),
            }
        )
        for text in TEXTS
    ]
    np.testing.assert_allclose(table.column("neighbour"), expected, atol=1e-6)
    assert np.isfinite(table.column("pac")).all()
    folders = sorted(path.name for path in (tmp_path / "run" / "signals").iterdir())
    assert folders == [*(f"neighbour-{i:02d}" for i in range(3)), *(f"swapped-{i:02d}" for i in range(3)), "target"]


def test_the_population_is_scored_by_both_models_and_stands_in_no_table(
    passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    target, reference = FakeBackend(0), FakeBackend(1)
    supplies = Supplies(population=write_jsonl("crowd.jsonl", CROWD))
    table = score(passages, target, reference, attacks=["rmia", "info_rmia"], supplies=supplies, out=tmp_path / "run")
    assert len(table) == len(TEXTS)
    means = [[signals_of(model, row["text"]).logprob.mean() for row in CROWD] for model in (target, reference)]
    crowd = Population(np.array(means[0], np.float64), np.array(means[1], np.float64))
    for row, text in enumerate(TEXTS):
        evidence: dict[str, Any] = {
            "target": signals_of(target, text),
            "aligned_reference": signals_of(reference, text),
            "population": crowd,
        }
        for attack in ("rmia", "info_rmia"):
            assert table.column(attack)[row] == pytest.approx(parse_attack(attack).score(evidence), abs=1e-5)


def test_the_card_holds_what_the_supplies_allow_and_no_attack_of_many_passes(
    tiny: str, tiny_reference: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    bare = score_to_disk(passages, tiny, tiny_reference, out=tmp_path / "bare")
    full = score_to_disk(passages, tiny, tiny_reference, supplies=everything(write_jsonl, tiny), out=tmp_path / "full")
    assert set(full.attacks) - set(bare.attacks) == {
        "recall", "con_recall", "rmia", "info_rmia", "excess_gain", "excess_gain:form=sum", "dc_pdd",
    }  # fmt: skip
    assert not {"neighbour", "pac"} & set(full.attacks)
    assert {"camia", "camia:signal=slope", "reference", "reference:form=ratio"} <= set(bare.attacks)
    assert full.unscored == 0
    columns = pq.read_schema(tmp_path / "full" / "scores.parquet").names
    assert [name for name in columns if name.endswith("_perplexity")] == ["target_perplexity", "reference_perplexity"]


def test_tokens_are_not_set_beside_those_of_another_tokenizer(
    tiny: str, tiny_bos: str, passages: Passages, tmp_path: Path
) -> None:
    scored = score_to_disk(passages, tiny, tiny_bos, out=tmp_path / "run")
    assert "reference" in scored.attacks
    assert not {"wbc", "ez", "hard_token"} & set(scored.attacks)
    assert scored.notes[0].startswith("target and reference have different tokenizers, so there is no wbc, ")
    for attack in ("wbc", "ez", "hard_token:k=0.5"):
        with pytest.raises(AttackError, match=f"attack '{attack}' compares token with token"):
            score(passages, tiny, tiny_bos, attacks=[attack], out=tmp_path / "other")
    assert not (tmp_path / "other").exists(), "refused before a model is loaded"


# A run that is there already


def test_a_finished_run_makes_no_pass_again_and_other_supplies_are_refused(
    tiny: str, tiny_reference: str, passages: Passages, write_jsonl: Write, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    supplies = everything(write_jsonl, tiny)
    before = score(passages, tiny, tiny_reference, supplies=supplies, out=tmp_path / "run")
    monkeypatch.setattr(ModelSpec, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    again = score(passages, tiny, tiny_reference, supplies=supplies, out=tmp_path / "run")
    for name, column in before.columns.items():
        np.testing.assert_array_equal(column, again.columns[name])
    others = write_jsonl("other.jsonl", [{"text": "another shot"}])
    with pytest.raises(RunDirectoryError, match=r"another run \(prefixed: shots_sha256 .* there, .* here\)"):
        score(passages, tiny, attacks=["recall"], supplies=Supplies(shots=others), out=tmp_path / "run")
    crowd = write_jsonl("other-crowd.jsonl", CROWD[:20])
    with pytest.raises(RunDirectoryError, match=r"population_target: inputs_sha256"):
        score(
            passages, tiny, tiny_reference, attacks=["rmia"], supplies=Supplies(population=crowd), out=tmp_path / "run"
        )


def test_more_neighbours_continue_and_another_seed_is_refused(
    fake: Backend, passages: Passages, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    score(passages, fake, attacks=["neighbour"], supplies=Supplies(neighbours=2), out=run)
    (part,) = (run / "signals" / "neighbour-01").iterdir()
    old = part.stat().st_mtime_ns
    score(passages, fake, attacks=["neighbour"], supplies=Supplies(neighbours=4), out=run)
    assert part.stat().st_mtime_ns == old
    assert (run / "signals" / "neighbour-03").is_dir()
    with pytest.raises(RunDirectoryError, match=r"neighbour-00: rewrite seed 0 there, 1 here"):
        score(passages, fake, attacks=["neighbour"], supplies=Supplies(neighbours=2, seed=1), out=run)


# Bad input


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("recall", "needs known non-members .* `shots`"),
        ("con_recall", "needs known non-members .* `shots`"),
        ("rmia", "needs .* `population`|needs a reference model"),
        ("dc_pdd", "needs the token frequencies of a corpus: count them with `count_frequencies`"),
        ("wbc", "needs a reference model: give it as `reference`"),
    ],
)
def test_what_an_attack_lacks_is_named(
    attack: str, message: str, fake: Backend, passages: Passages, tmp_path: Path
) -> None:
    with pytest.raises(AttackError, match=message):
        score(passages, fake, attacks=[attack], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_con_recall_needs_members_among_the_shots(
    fake: Backend, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    supplies = Supplies(shots=write_jsonl("shots.jsonl", [{"text": "no label at all"}]))
    assert "recall" in [chosen.name for chosen in attacks_of(supplies)]
    assert "con_recall" not in [chosen.name for chosen in attacks_of(supplies)]
    with pytest.raises(AttackError, match="label them 1 in the file of `shots`"):
        score(passages, fake, attacks=["con_recall"], supplies=supplies, out=tmp_path / "run")


def attacks_of(supplies: Supplies) -> list[Any]:
    return list(attacks_for((), supplies.load()).attacks)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (
            "shots",
            [{"text": TEXTS[3]}],
            r"shots.jsonl line 1: its text is also a passage to score \(.*in.jsonl line 4\): remove one",
        ),
        (
            "population",
            [{"text": "x y"}, {"text": TEXTS[0]}],
            r"population.jsonl line 2: its text is also a passage to score",
        ),
        (
            "shots",
            [{"text": "a", "label": 1}, {"text": "b", "label": None}],
            r"line 2: has no label, but other shots have",
        ),
    ],
)
def test_supplies_are_kept_apart_from_what_is_scored(
    name: str, rows: Rows, message: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    path = write_jsonl(f"{name}.jsonl", rows)
    supplies = Supplies(shots=path) if name == "shots" else Supplies(population=path)
    with pytest.raises(PassageError, match=message):
        score(passages, FakeBackend(0), FakeBackend(1), supplies=supplies, out=tmp_path / "run")


def test_shots_that_fill_the_context_are_refused(
    tiny: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    shots = write_jsonl("shots.jsonl", [{"text": text} for text in sentences(20, seed=50)])
    with pytest.raises(UsageError, match=r"the `shots` have \d+ tokens, and the model takes 64 at most: give fewer"):
        score(passages, tiny, attacks=["recall"], supplies=Supplies(shots=shots), out=tmp_path / "run")


def test_no_neighbours_and_damaged_frequencies_are_refused(
    fake: Backend, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="`neighbours` is 0"):
        score(passages, fake, attacks=["neighbour"], supplies=Supplies(neighbours=0), out=tmp_path / "run")
    supplies = Supplies(frequencies=write_jsonl("x.jsonl", [{"text": "no counts"}]))
    with pytest.raises(InputError, match="count them with `count_frequencies`"):
        score(passages, fake, attacks=["dc_pdd"], supplies=supplies, out=tmp_path / "run")


def test_frequencies_of_another_tokenizer_are_refused(
    tiny: str, tiny_bos: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    supplies = Supplies(frequencies=everything(write_jsonl, tiny_bos).frequencies)
    with pytest.raises(AttackError, match=r"`frequencies` of .* another tokenizer"):
        score(passages, tiny, attacks=["dc_pdd"], supplies=supplies, out=tmp_path / "run")
    assert not (tmp_path / "run").exists(), "refused before a model is loaded"


def test_the_record_says_what_the_passes_depend_on(
    fake: Backend, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    supplies = Supplies(shots=write_jsonl("shots.jsonl", SHOTS), neighbours=1)
    score(passages, fake, attacks=["recall", "neighbour"], supplies=supplies, out=tmp_path / "run")
    passes = read_run(tmp_path / "run").passes
    assert passes["prefixed"].depends["shots_tokens"] > 10
    assert len(passes["prefixed"].depends["shots_sha256"]) == 64
    assert passes["neighbour-00"].depends["rewrite"] == {"by": "dropout and swaps of words", "seed": 0}


def test_a_calibration_on_other_supplies_does_not_fit(
    tiny: str, passages: Passages, write_jsonl: Write, tmp_path: Path
) -> None:
    """What scores share is no pass of its own, or is one of several: other scores must not pass for the same."""
    corpora = [read_passages(write_jsonl(f"c{i}.jsonl", [{"text": text} for text in TEXTS[i:]])) for i in (0, 5)]
    tokenizer = ModelSpec(tiny).tokenizer()
    labelled = read_passages(write_jsonl("known.jsonl", [{"text": text} for text in sentences(30, seed=60)]), label=0)
    first, other = (
        Supplies(frequencies=count_frequencies(corpus, tokenizer), neighbours=number)
        for corpus, number in zip(corpora, (2, 1), strict=True)
    )
    attacks = ["dc_pdd", "neighbour"]
    known = score(labelled, tiny, attacks=attacks, supplies=first, out=tmp_path / "known")
    same = score(passages, tiny, attacks=attacks, supplies=first, out=tmp_path / "same")
    others = score(passages, tiny, attacks=attacks, supplies=other, out=tmp_path / "others")
    for attack, what in (("dc_pdd", "frequencies counts_sha256"), ("neighbour", "neighbours passes 2 there, 1 here")):
        rule = calibrate(known, attack, fpr=0.1)
        assert len(flag(same, rule).rows) == len(TEXTS)
        with pytest.raises(CalibrationError, match=f"its scores were not computed like .*{what}"):
            flag(others, rule)


def test_a_neighbour_model_is_known_by_its_files_from_the_first_run_on(
    fake: Backend, passages: Passages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of the hub is not on the machine before it is first asked for; the run goes on with it all the same."""
    digest: list[str | None] = [None]

    class Shouting:
        def rewrite(self, texts: Sequence[str], number: int) -> list[str]:
            return [f"{text.upper()} {number}" for text in texts]

    def fetch(*_: object, **__: object) -> Shouting:
        digest[0] = "of its files"
        return Shouting()

    monkeypatch.setattr("llm_mia.backends.load_rewriter", fetch)
    monkeypatch.setattr("llm_mia.backends.ModelSpec.sha256", lambda _: digest[0])
    supplies = Supplies(neighbours=2, neighbour_model=ModelSpec("some/bert"))
    first = score(passages, fake, attacks=["neighbour"], supplies=supplies, out=tmp_path / "run")
    monkeypatch.setattr("llm_mia.backends.load_rewriter", lambda *_, **__: pytest.fail("loaded again"))
    again = score(passages, fake, attacks=["neighbour"], supplies=supplies, out=tmp_path / "run")
    np.testing.assert_array_equal(first.column("neighbour"), again.column("neighbour"))


def test_a_model_that_predicts_next_words_writes_no_neighbours() -> None:
    with pytest.raises(ModelError, match="masked language model, such as BERT"):
        load_rewriter(ModelSpec("embedded"))
