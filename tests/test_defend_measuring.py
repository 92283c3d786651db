"""How defences are measured: the draw of the members, the choice of the attack, perplexities, and their words."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from llm_mia.defenses import (
    Defended,
    DefenseNote,
    Defenses,
    EmpiricalEpsilon,
    Leakage,
    MeasuredAttack,
    Measuring,
    Plan,
    PoolSplit,
    Utility,
    compare_with_lowest,
    mark_lower,
    perplexity,
    perplexity_ratio,
    split_pool,
)
from llm_mia.errors import PassageError
from llm_mia.records import Interval, Note, Passage
from llm_mia.report import defenses_screen, defenses_table
from llm_mia.report.figures import defenses as draw, write_defenses_figure
from llm_mia.report.words import blinded_attacks, defenses_answer
from llm_mia.training import Recipe

DEFENDED = 10


def passages(documents: int, each: int = 2) -> list[Passage]:
    return [Passage(f"{d}-{i}", f"text {i} of {d}", f"d{d}") for d in range(documents) for i in range(each)]


def test_half_of_the_documents_are_members_and_half_of_each_choose() -> None:
    split = split_pool("pool", passages(60), seed=3)
    halves: dict[tuple[int, bool], set[str]] = {}
    for passage, choosing in zip(split.passages, split.choosing.tolist(), strict=True):
        assert passage.label is not None
        halves.setdefault((passage.label, choosing), set()).add(passage.document)
    assert {half: len(names) for half, names in halves.items()} == dict.fromkeys(
        [(0, False), (0, True), (1, False), (1, True)], 15
    )
    assert sum(map(len, halves.values())) == len(set().union(*halves.values())), "no document is in two parts"


def test_the_draw_depends_on_the_names_and_the_seed_alone() -> None:
    pool = passages(60)
    first, turned, other = (
        {passage.id: passage.label for passage in split_pool("pool", given, seed).passages}
        for given, seed in ((pool, 0), (pool[::-1], 0), (pool, 1))
    )
    assert first == turned
    assert first != other


def test_documents_that_share_a_text_are_drawn_together() -> None:
    """Else a text that is held out would be trained on; a chain of three documents is a single one."""
    pool = passages(60)
    shared = [replace(pool[2], text=pool[0].text), replace(pool[3], text="new"), replace(pool[4], text="new")]
    for seed in range(20):
        split = split_pool("pool", [*pool[:2], *shared, *pool[5:]], seed)
        labels: dict[str, set[int | None]] = {}
        for passage in split.passages:
            labels.setdefault(passage.text, set()).add(passage.label)
        assert max(map(len, labels.values())) == 1
        assert len({passage.label for passage in split.passages if passage.document in ("d0", "d1", "d2")}) == 1
        assert split.document_count == 58


def test_too_few_documents_are_refused_with_their_number() -> None:
    with pytest.raises(PassageError, match="pool: holds 39 documents: at least 40 are needed"):
        split_pool("pool", passages(39), 0)
    one = [Passage(str(i), f"text {i}", "d") for i in range(100)]
    with pytest.raises(PassageError, match="holds 1 document: at least"):
        split_pool("pool", one, 0)


def noise(split: PoolSplit, attacks: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"attack {at}": rng.normal(size=len(split.passages)) for at in range(attacks)}


def test_the_strongest_of_many_useless_attacks_is_no_better_than_guessing() -> None:
    """The planted fault is a choice on the passages that measure: then the best of 50 is far above 0.5."""
    split = split_pool("pool", passages(80, each=1), 0)
    turned = PoolSplit(split.passages, split.documents, ~split.choosing)
    honest, cheating = list[float](), list[float]()
    for seed in range(40):
        columns = noise(split, 50, seed)
        measuring = Measuring(split, (0.1,), columns)
        chosen, seen = measuring.strongest(columns), Measuring(turned, (0.1,), columns).strongest(columns)
        assert chosen is not None
        assert seen is not None
        for attack, results in ((chosen, honest), (seen, cheating)):
            leakage = measuring.leakage({attack: columns[attack]}, attack, attack)
            assert leakage is not None
            results.append(leakage.auroc.value)
    # 20 of each class measure: the standard deviation of an AUROC without signal is √(41/(12·20·20)) = 0.092, of the
    # mean of 40 trials 0.015; five of those.
    assert abs(np.mean(honest) - 0.5) < 5 * 0.015
    assert np.mean(cheating) > 0.5 + 5 * 0.015


def test_no_useless_defence_counts_among_many() -> None:
    """Ten defences that leave the scores as noisy as they were; the planted fault tests each of them by itself."""
    split, rng = split_pool("pool", passages(80, each=1), 0), np.random.default_rng(2)
    trials, together, alone = 100, 0, 0
    for _ in range(trials):
        signal = split.labels + rng.normal(0, 1, 80)
        measuring = Measuring(split, (), {"loss": signal + rng.normal(0, 1, 80)})
        leakages = [measuring.leakage({"loss": signal + rng.normal(0, 1, 80)}, "loss", "loss") for _ in range(DEFENDED)]
        together += any(each is not None and each.lower for each in mark_lower(leakages))
        alone += any(each is not None and each.change is not None and each.change.high < 0 for each in leakages)
    # Of each, at most 2.5 % is expected; three standard deviations of a share of 100.
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / trials)
    assert together / trials <= most
    assert alone / trials > most, "without a correction some useless defence counts too often"


def test_defences_that_help_count_together() -> None:
    split, rng = split_pool("pool", passages(400, each=1), 0), np.random.default_rng(3)
    strong, weak = (split.labels * size + rng.normal(0, 1, 400) for size in (2.0, 0.0))
    measuring = Measuring(split, (), {"loss": strong})
    leakages = [measuring.leakage({"loss": scores}, "loss", "loss") for scores in (weak, strong, -strong)]
    first, same, turned = (each is not None and each.lower for each in mark_lower([*leakages, None])[:3])
    assert (first, same, turned) == (True, False, True)


def test_a_weaker_choice_among_attacks_is_no_effect_of_a_defence() -> None:
    """The half that chooses gives a defence that changes nothing a weaker attack, as it may by chance.

    In a simulation of 30 attacks and 60 documents of a class on each half, a defence that changes nothing counted with
    probability 7 % by the difference of the chosen attacks alone, and 2 % by both hypotheses.
    """
    split, rng = split_pool("pool", passages(400, each=1), 0), np.random.default_rng(4)
    strong, weak, useless = (split.labels * size + rng.normal(0, 1, 400) for size in (2.0, 0.7, 0.0))
    measuring = Measuring(split, (), {"loss": strong, "min_k": weak})
    unchanged = {"loss": np.where(split.choosing, useless, strong), "min_k": weak}
    assert (measuring.strongest(measuring.undefended), measuring.strongest(unchanged)) == ("loss", "min_k")
    blind, hidden = {"loss": useless, "min_k": weak}, {"min_k": weak}
    leakages = [measuring.leakage(columns, "min_k", "loss") for columns in (unchanged, blind, hidden)]
    assert all(each is not None and each.change is not None and each.change.high < 0 for each in leakages)
    assert [each is not None and each.lower for each in mark_lower(leakages)] == [False, True, True]


def test_rates_need_enough_non_members() -> None:
    split = split_pool("pool", passages(440, each=1), 0)
    columns = noise(split, 1, 0)
    leakage = Measuring(split, (0.01, 0.001), columns).leakage(columns, "attack 0", "attack 0")
    assert leakage is not None
    assert leakage.nonmembers == 110
    assert leakage.tpr_at_fpr[0.01] is not None
    assert leakage.tpr_at_fpr[0.001] is None
    assert leakage.change is not None
    assert leakage.change.value == 0


def test_intervals_of_perplexities_hold_the_truth() -> None:
    """30 documents of 1 to 5 passages, whose difficulty differs by document: 95 % intervals, 400 times.

    A planted fault, the interval that takes passages for independent, holds the truth too rarely.
    """
    rng, trials, inside, naive = np.random.default_rng(0), 400, 0, 0
    for _ in range(trials):
        numbers = np.repeat(np.arange(30), rng.integers(1, 6, 30))
        tokens = rng.integers(20, 60, len(numbers))
        logs = -tokens * (3.0 + rng.normal(0, 0.3, 30)[numbers])
        names = [str(number) for number in numbers]
        interval = perplexity(logs, tokens, names)
        alone = perplexity(logs, tokens, [str(at) for at in range(len(numbers))])
        inside += interval.low <= math.exp(3.0) <= interval.high
        naive += alone.low <= math.exp(3.0) <= alone.high
    # Three standard deviations of a share of 400, and 2 % for a t of 30 documents of unequal length.
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials) - 0.02
    assert inside / trials > least
    assert naive / trials < least


def test_the_ratio_of_perplexities_is_paired_by_document() -> None:
    rng = np.random.default_rng(1)
    tokens, names = np.full(60, 30), [str(at // 2) for at in range(60)]
    logs = -30 * (3 + rng.normal(0, 0.5, 60))
    worse = logs - 30 * math.log(1.1) + rng.normal(0, 0.01, 60)
    ratio = perplexity_ratio(worse, logs, tokens, names)
    # The noise moves the mean by 0.01/30/√60, a few 1e-5: the bound is ten times that.
    assert ratio.value == pytest.approx(1.1, rel=5e-4)
    assert ratio.high - ratio.low < 1e-3
    assert perplexity(worse, tokens, names).high / perplexity(worse, tokens, names).low > 1.1


def leakage(value: float, change: float | None = None, half: float = 0.05) -> Leakage:
    return Leakage(
        "loss",
        Interval(value, value - half, min(1.0, value + half)),
        {0.01: Interval(0.2, 0.1, 0.3), 0.001: None},
        None if change is None else Interval(change, change - 0.04, change + 0.04),
        200,
        200,
        None if change is None else 0.01,
        lower=change is not None and change < -0.04,
    )


def row(name: str, of: Leakage | None, *, trained: bool = True, outputs: bool = False, ratio: float = 1.2) -> Defended:
    attacks = tuple(MeasuredAttack(each, None if of is None else of.auroc) for each in ("loss", "min_k"))
    utility = Utility(Interval(20 * ratio, 19 * ratio, 21 * ratio), Interval(ratio, ratio - 0.01, ratio + 0.01))
    return Defended(name, name, trained, outputs, of, of, attacks, utility, 12.0, model=name if trained else "none")


def table(*rows: Defended, path: Path = Path("defences")) -> Defenses:
    plan = Plan("some/model", None, "0" * 64, 0, Recipe(), 64, None)
    return Defenses(path, plan, 800, 400, 400, 400, 200, 50, 0.001, rows)


BASELINE = row("none", leakage(0.8), trained=False, ratio=1.0)


def shown(result: Defenses, width: int = 80, *, details: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, color_system=None)
    console.print(defenses_table(result) if details else defenses_screen(result))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_answer_names_the_least_leakage_its_cost_and_what_does_not_help() -> None:
    best, mild = row("dp:epsilon=8", leakage(0.52, -0.28)), row("dropout:p=0.2", leakage(0.7, -0.1))
    useless = row("temperature:t=2", leakage(0.79, -0.01), trained=False, outputs=True, ratio=1.0)
    answer = defenses_answer(table(BASELINE, useless, mild, best))
    assert answer.headline == "dp:epsilon=8 has the lowest AUROC: 0.52 (0.47–0.57); without defence 0.80 (0.75–0.85)."
    assert answer.error_rate == (
        "Its perplexity on held-out texts is 24.0 in place of 20.0 (+20 %, interval +19 to +21), and its training "
        "takes 12 s in place of 12 s."
    )
    assert answer.trust == ("temperature:t=2 does not measurably lower the AUROC.",)
    assert answer.facts[3][1] == "AUROC 0.79 (0.74–0.84), not lower; perplexity 20.0"
    others = [replace(useless, name=f"rounding:d={digits}") for digits in range(4)]
    trust = defenses_answer(table(BASELINE, best, *others)).trust
    assert trust == ("'not lower': 4 of 5 defences do not measurably lower the AUROC.",)
    assert [name for name, _ in answer.facts] == ["none", "dp:epsilon=8", "dropout:p=0.2", "temperature:t=2"]


def test_of_defences_that_are_as_good_the_answer_names_the_cheapest_and_says_so() -> None:
    best = row("dp:epsilon=8", leakage(0.52, -0.28), ratio=1.4)

    def near(name: str, ratio: float, low: float, value: float = 0.56) -> Defended:
        of = replace(leakage(value, value - 0.8), above_lowest=Interval(value - 0.52, low, 0.1))
        return row(name, of, ratio=ratio)

    cheap, worse = near("dropout:p=0.2", 1.05, -0.02), near("epochs:n=1", 1.01, 0.01)
    answer = defenses_answer(table(BASELINE, worse, cheap, best))
    assert answer.headline == "dropout:p=0.2 lowers the AUROC to 0.56 (0.51–0.61); without defence 0.80 (0.75–0.85)."
    assert answer.error_rate == (
        "Its perplexity on held-out texts is 21.0 in place of 20.0 (+5 %, interval +4 to +6), and its training takes "
        "12 s in place of 12 s. dp:epsilon=8 has the lowest AUROC, 0.52 (0.47–0.57), but not measurably lower, and "
        "costs more."
    )
    assert defenses_answer(table(BASELINE, cheap, near("weight_decay", 1.2, -0.03), best)).headline == answer.headline
    faster = replace(cheap, name="faster", seconds=3.0)
    assert defenses_answer(table(BASELINE, cheap, faster, best)).headline.startswith("faster lowers")
    dear = near("dropout:p=0.2", 1.5, -0.02)
    assert defenses_answer(table(BASELINE, dear, best)).headline.startswith("dp:epsilon=8 has the lowest AUROC")
    blind = row("sampled_text:queries=one", None, trained=False, outputs=True)
    assert "leaves nothing to attack" in defenses_answer(table(BASELINE, cheap, best, blind)).headline
    apart = replace(cheap, leakage=leakage(0.56, -0.24))
    assert defenses_answer(table(BASELINE, apart, best)).headline.startswith("dp:epsilon=8"), "nothing was compared"


def test_a_defence_is_compared_with_the_lowest_on_the_same_passages() -> None:
    split, rng = split_pool("pool", passages(800, each=1), 0), np.random.default_rng(4)
    undefended, high, low = (split.labels * size + rng.normal(0, 1, 800) for size in (3.0, 1.5, 0.1))
    alike = low + rng.normal(0, 0.05, 800)
    measuring = Measuring(split, (), {"loss": undefended})
    scores = [high, low, alike, undefended, None]
    leakages = [None if each is None else measuring.leakage({"loss": each}, "loss", "loss") for each in scores]
    compared = compare_with_lowest(mark_lower(leakages), scores, measuring)
    assert [each is not None and each.lower for each in compared] == [True, True, True, False, False]
    above = [None if each is None else each.above_lowest for each in compared]
    areas = [math.nan if each is None else each.auroc.value for each in compared]
    lowest = min((1, 2), key=areas.__getitem__)
    other = above[3 - lowest]
    assert above[lowest] is None
    assert above[3] is above[4] is None
    assert above[0] is not None
    assert above[0].low > 0
    assert other is not None
    assert other.low <= 0 <= other.high
    assert other.value == areas[3 - lowest] - areas[lowest]


@pytest.mark.parametrize(
    ("rows", "headline"),
    [
        ([BASELINE], "Without defence the model leaks: AUROC 0.80 (0.75–0.85) by loss."),
        ([row("none", leakage(0.52))], "No leak shows without defence: AUROC 0.52 (0.47–0.57). So no defence can show"),
        ([BASELINE, row("dropout", leakage(0.79, -0.01))], "No defence measurably lowers the AUROC: 0.80"),
        (
            [BASELINE, row("sampled_text:queries=one", None, trained=False, outputs=True)],
            "sampled_text:queries=one leaves nothing to attack; without defence: AUROC 0.80 (0.75–0.85).",
        ),
        ([row("none", None)], "No attack can be computed, even without defence."),
    ],
)
def test_each_outcome_has_its_sentence(rows: list[Defended], headline: str) -> None:
    assert defenses_answer(table(*rows)).headline.startswith(headline)


def test_a_screen_has_15_lines_of_80_columns_whatever_the_defences() -> None:
    names = ["dp:epsilon=0.5,delta=1e-06,clip=0.1+rounding:d=2", "early_stopping:patience=3,share=0.15"]
    many = [row(f"{name}{'+top_k:k=5' * (at % 2)}", leakage(0.6, -0.2)) for at, name in enumerate(names * 8)]
    for count in range(len(many)):
        text = shown(table(BASELINE, *many[:count]))
        assert len(text.splitlines()) <= 15
        assert max(map(len, text.splitlines())) <= 80
        assert text.splitlines()[0].startswith("How much does each defence of some/model help")
        near = replace(leakage(0.6, -0.2), above_lowest=Interval(0.0, -0.1, 0.1))
        cheaper = [replace(row(each.name, near, ratio=1.1)) for each in many[1:count]]
        assert len(shown(table(BASELINE, *many[:1], *cheaper)).splitlines()) <= 15
        left_out = re.search(r"\((\d+) more defences?; ", text)
        rows = sum("AUROC 0.60" in line and "lowest" not in line for line in text.splitlines())
        assert rows + (int(left_out[1]) if left_out else 0) == count, "a row that is not shown is counted"


def test_a_table_is_shown_whole_where_it_fits_and_empty_lines_go_first() -> None:
    rows = [row(f"dropout:p=0.{at}", leakage(0.6 + at / 100, -0.2)) for at in range(1, 7)]
    text = shown(table(BASELINE, *rows))
    assert all(each.name in text for each in rows)
    assert "more" not in text


def test_a_guarantee_is_shown_with_its_delta() -> None:
    private = replace(row("dp:epsilon=8", leakage(0.52, -0.28)), epsilon=7.96, delta=1e-4)
    assert "ε=7.96, δ=1e-04" in shown(table(BASELINE, private))


def test_details_fit_80_columns_and_show_what_no_figure_is_given_for() -> None:
    private = replace(
        row("dp:epsilon=8", leakage(0.52, -0.28)),
        epsilon=7.96,
        delta=1e-4,
        shown=EmpiricalEpsilon(0.41, 32, 20, 64, 1e-4, 2.3),
        extractable=Interval(0.0, 0.0, 0.02),
        gap=Interval(-0.01, -0.02, 0.0),
    )
    masked = row("sampled_text:queries=one", None, trained=False, outputs=True, ratio=1.0)
    assert blinded_attacks(table(BASELINE, private, masked)) == [(["sampled_text:queries=one"], "all")]
    notes = [
        Note(DefenseNote.FEW_NONMEMBERS, {"nonmembers": 200, "rate": 0.001, "needed": 999}),
        Note(DefenseNote.SHARED_TEXTS, {"joined": 3, "documents": 400}),
        Note(DefenseNote.SHORT_MEMBERS, {"stretch": 50}),
        Note(DefenseNote.EPOCHS_RUN, {"defence": "early_stopping", "epoch": 2, "epochs": 3}),
        Note(DefenseNote.CANARIES, {"canaries": 64, "highest": 2.32}),
        Note(DefenseNote.MORE_QUERIES, {"defence": "noise"}),
        Note(DefenseNote.PASSAGE_PRIVACY, {"passages": 2.5}),
    ]
    assert Counter(note.kind for note in notes) == Counter([*DefenseNote]), "every note has its sentence"
    text = shown(replace(table(BASELINE, private, masked), notes=tuple(notes)), details=True)
    assert max(map(len, text.splitlines())) <= 80
    for words in ("−0.28", "0.41", "ε=7.96, δ=1e-04", "0–2", "+20", "at least 999", "2.5 texts", "Not computable on"):
        assert words in text


def test_the_figure_has_a_point_for_each_defence_that_can_be_attacked(tmp_path: Path) -> None:
    outputs = row("top_k:k=5", leakage(0.7, -0.1), trained=False, outputs=True, ratio=1.0)
    blind = row("sampled_text:queries=one", None, trained=False, outputs=True)
    result = table(BASELINE, row("dp:epsilon=8", leakage(0.52, -0.28), ratio=4.0), outputs, blind, path=tmp_path)
    axes = draw(result)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "without defence",
        "dp:epsilon=8",
        "top_k:k=5",
    ]
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert low < 20 < 80 < high
    assert all(tick > 18 for tick in axes.get_xticks()), "no perplexity where the defences of the outputs are"
    svg, png = write_defenses_figure(result)
    assert (svg.name, png.name) == ("defences.svg", "defences.png")
    assert ElementTree.fromstring(svg.read_text()).get("role") == "img"
    assert png.read_bytes().startswith(b"\x89PNG")
    first = svg.read_bytes()
    write_defenses_figure(result)
    assert svg.read_bytes() == first
    assert write_defenses_figure(table(row("none", None), path=tmp_path / "none")) == []
