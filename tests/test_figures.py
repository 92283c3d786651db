"""Figures of audits that are made in memory: drawn in every case, the same bytes each time, safe on a page."""

from __future__ import annotations

import hashlib
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import Audit, audit
from llm_mia.auditing import Control
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.decision import FindingTest, RealisedRates, calibrate, evaluate, flag, flags_by_share, realised_rates
from llm_mia.errors import UsageError
from llm_mia.metrics import flagged_share, roc_points
from llm_mia.records import Interval, Standing, TokenSignals
from llm_mia.report.figures import (
    LIGHT,
    Figure,
    figures_of,
    heat_map,
    p_values,
    roc,
    scores,
)
from llm_mia.report.words import p_words
from llm_mia.report.words.figures import false_positives_words, power_words
from llm_mia.scores import ScoreTable
from llm_mia.validity import Check, Validity, Verdict

from .conftest import sentences

Floats = NDArray[np.float64]
NAMES = ["scores", "roc", "baselines", "p_values", "documents", "power", "false_positives"]
NONE: Floats = np.empty(0)


def normal(n: int, shift: float = 0.0, seed: int = 0) -> Floats:
    return np.random.default_rng([seed, n]).normal(shift, 1, n)


def blind(m: int, n: int) -> Validity:
    labels = np.repeat([1, 0], [m, n])
    points = roc_points(normal(m + n, seed=5), labels)
    names = ["blind_words_auroc", "blind_counts_auroc"]
    checks = [Check(name, Interval(0.55, 0.4, 0.7), Verdict.SOUND, roc=points) for name in names]
    return Validity(Standing.SOUND, tuple(checks))


def audited(
    known: Any,
    candidates: Any,
    members: Any = NONE,
    *,
    documents: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    fpr: float = 0.05,
    fdr: float | None = None,
    standing: Standing = Standing.SOUND,
    control: Control | None = None,
) -> tuple[Audit, ScoreTable]:
    """An audit of these scores, as `llm_mia.auditing` composes it."""
    labels = [0] * len(known) + [1] * len(members) + [None] * len(candidates)
    values = np.concatenate([known, members, candidates])
    table = replace(ScoreTable.of(values, labels, documents=documents, categories=categories), standing=standing)
    calibration = calibrate(table, "score", fpr=fpr)
    power = None
    if len(members) and fdr is None and not categories:
        rows = table.rows(1)
        power = flagged_share(calibration.flagged(table.column("score")[rows]), [table.groups()[row] for row in rows])
    done = Audit(
        path=Path(),
        passes={},
        inputs=(),
        validity=replace(blind(len(members), len(known)) if len(members) else Validity(None, ()), standing=standing),
        accepted=False,
        flags=flag(table, calibration, fdr=fdr),
        evaluations=evaluate(table) if len(members) else [],
        confidence_gap=None,
        power=power,
        notes=[],
        control=control,
    )
    return done, table


def by_name(case: tuple[Audit, ScoreTable]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures_of(*case)}


BOTH_SIDES = [f"d{i % 60}" for i in range(180)]
SEALED = Control(20, 2, 20, Interval(0.1, 0.012, 0.317), 0.05, 0.26)
MEMBERS = normal(40, 1.5)
CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "one candidate, few non-members": ({"known": normal(19), "candidates": [9.0], "members": MEMBERS}, set()),
    "unscored, no members": (
        {"candidates": [math.nan] * 5},
        {"roc", "baselines", "p_values", "documents", "power"},
    ),
    "false discovery rate, withheld": ({"members": MEMBERS, "fdr": 0.1, "standing": Standing.VOID}, {"power"}),
    "ties, categories, an unscored member": (
        {
            "known": normal(100).round(),
            "candidates": np.ones(40),
            "members": [*MEMBERS.round(), math.nan],
            "categories": [*["a", "b"] * 90, "a"],
        },
        {"power"},
    ),
    "documents on both sides, sealed non-members": (
        {"members": MEMBERS, "documents": BOTH_SIDES, "control": SEALED},
        set(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_drawn_or_says_why_not(name: str) -> None:
    options, missing = CASES[name]
    case = audited(**{"known": normal(100), "candidates": normal(40, 0.5), **options})
    drawn = by_name(case)
    assert list(drawn) == NAMES
    assert {figure.name for figure in drawn.values() if not figure.svg} == missing, name
    for figure in drawn.values():
        assert figure.title
        assert " %" not in figure.description
        # A palette may be changed, and not everyone sees it: texts name lines by their style.
        assert not re.search(r"\b(gr[ae]y|green|blue|red|orange|black|olive)\b", figure.description)
        assert not re.search(r"\bnan\b|\binf\b", figure.description), figure.description
        assert (len(figure.table) > 1) == bool(figure.svg)
        assert len(figure.table) <= 41
        assert len({len(row) for row in figure.table}) <= 1
        assert len(figure.svg.encode()) < 60_000
        if figure.svg and "withheld" in name:
            assert figure.description.startswith("The known set is void: this figure supports no finding.")
            assert "known set void: supports no finding" in figure.svg
    if name == "one candidate, few non-members":
        assert "Half of the 19 documents is too few to test 5\u00a0%" in drawn["false_positives"].description
        assert "so the figure starts at 10\u00a0%; all of them are enough" in drawn["false_positives"].description
        assert len(drawn["p_values"].table[0]) == 6  # with an interval, since each passage is a document by itself


@pytest.fixture(scope="module")
def usual() -> tuple[Audit, ScoreTable]:
    return usual_case()


@pytest.fixture(scope="module")
def page(usual: tuple[Audit, ScoreTable]) -> dict[str, Figure]:
    return by_name(usual)


def test_an_svg_stands_alone_on_a_page(page: dict[str, Figure]) -> None:
    ids: list[str] = []
    for figure in page.values():
        root = ElementTree.fromstring(figure.svg)
        elements = list(root.iter())
        assert "style" not in figure.svg  # a policy may forbid style attributes and style sheets
        assert not {"image", "script", "metadata"} & {element.tag.split("}")[1] for element in elements}
        assert "width" not in root.attrib
        assert root.attrib["viewBox"].startswith("0 0 ")
        assert root.attrib["role"] == "img"
        (title, description) = root[0], root[1]
        assert (title.text, description.text) == (figure.title, figure.description)
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        own = [element.attrib["id"] for element in elements if "id" in element.attrib]
        assert all(name.startswith(f"{figure.name}-") for name in own)
        used = set(re.findall(r"url\(#([^)]+)\)", figure.svg)) | set(re.findall(r'href="#([^"]+)"', figure.svg))
        assert used <= set(own)
        ids += own
        colours = {value for element in elements for key, value in element.attrib.items() if key in ("fill", "stroke")}
        named = {colour[6:-1] for colour in colours if colour.startswith("var(--")}
        assert named <= set(LIGHT)
        assert colours - {f"var(--{name})" for name in named} <= {"none"}, figure.name  # no colour escapes the theme
    assert len(ids) == len(set(ids))


def test_names_of_documents_are_text(page: dict[str, Figure]) -> None:
    svg = page["documents"].svg
    texts = {element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")}
    assert any(text and text.startswith("<b>$x_1$ & \u6d77") for text in texts)


def usual_case() -> tuple[Audit, ScoreTable]:
    names = [f"<b>$x_1$ & \u6d77 {i // 3}.txt" for i in range(60)]
    return audited(normal(80), normal(60, 0.7), normal(40, 1.5), documents=[*(f"k{i}" for i in range(120)), *names])


def test_the_same_audit_gives_the_same_bytes_elsewhere_and_without_pyplot(page: dict[str, Figure]) -> None:
    lines = ["import sys", "from tests.test_figures import *", "print(digest(*drawn_again(usual_case())))"]
    code = "\n".join([*lines, "print('matplotlib.pyplot' in sys.modules)"])
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [digest(page["roc"], page["power"]), "False"]


def drawn_again(case: tuple[Audit, ScoreTable]) -> list[Figure]:
    """A figure whose band is drawn at random, and another."""
    return figures_of(*case, names=["roc", "power"])


def digest(*figures: Figure) -> str:
    return hashlib.sha256(repr(figures).encode()).hexdigest()


def test_the_description_has_the_figures_of_the_records(
    usual: tuple[Audit, ScoreTable], page: dict[str, Figure]
) -> None:
    done, drawn = usual[0], page
    assert f"{done.flags.flagged} of 60 candidates" in drawn["scores"].description
    auroc = done.evaluations[0].auroc
    assert f"AUROC of {auroc.value:.2f} ({auroc.low:.2f} to {auroc.high:.2f})" in drawn["baselines"].description
    finding = done.flags.finding
    assert finding is not None
    assert f"A finding takes at least {finding.least}" in drawn["power"].description
    assert "The share that was trained on cannot be read off the figure" in drawn["power"].description
    assert drawn["power"].table[0][2:] == ("Expected at the lower power", "at the upper power")
    # Candidates share documents: no band.
    assert len(drawn["p_values"].table[0]) == 4
    assert f"allows for that ({p_words(finding.p_value)})" in drawn["p_values"].description
    assert "cases by chance" not in drawn["p_values"].svg
    assert done.power is not None
    above = f"{100 * done.power.value:.3g}\u00a0% of the known members are above it"
    assert above in drawn["roc"].description
    assert "threshold in use" in drawn["roc"].svg
    lows = [float(row[2].split("\u00a0")[0]) for row in drawn["roc"].table[1:]]
    assert lows == sorted(lows)
    assert drawn["roc"].table[1][0] == "1.23\u00a0%"  # 1 / 81: 80 non-members show no smaller rate
    sealed = false_positives_words(replace(done, control=SEALED), realised_of(done))
    assert "Of the sealed non-members, which set no threshold, 10\u00a0% were flagged" in sealed


def realised_of(done: Audit) -> RealisedRates:
    realised = realised_rates(done.calibration)
    assert realised is not None
    return realised


def test_a_finding_that_counts_other_flags_says_why(usual: tuple[Audit, ScoreTable]) -> None:
    done = usual[0]
    finding, power = done.flags.finding, done.power
    assert finding is not None
    assert power is not None
    assert finding.test is FindingTest.EXCHANGE
    text = power_words(done, flags_by_share(done.flags, power))
    # Candidates come in documents of three passages, and each non-member alone: documents are cut to a passage.
    assert f"The finding counts {finding.flagged} of 20 candidates, where {done.flags.flagged} of 60 are" in text
    assert "it cuts documents to a common number of passages" in text
    whole = replace(done.flags, finding=replace(finding, flagged=done.flags.flagged, candidates=60))
    text = power_words(replace(done, flags=whole), flags_by_share(whole, power))
    assert text.startswith(f"The finding counts {done.flags.flagged} of 60 candidates. If all 60 ")


def test_the_table_of_scores_counts_every_score_on_its_side_of_the_threshold() -> None:
    """A planted fault would be a bin that holds scores on both sides, or a score that lies in no bin."""
    known = np.arange(100.0)
    case = audited(known, [95.0, 95.0, 96.0, 1e9, -1e9])
    threshold = case[0].calibration.threshold
    assert threshold == 95.0
    (figure,) = figures_of(*case, names=["scores"])
    _, *rows = figure.table
    counts = np.array([[int(count) for count in row[2:]] for row in rows])
    assert counts.sum(axis=0).tolist() == [100, 5]
    above = np.array([float(row[0]) >= threshold for row in rows])
    assert counts[above].sum(axis=0).tolist() == [4, 2]  # 96 to 99; 96 and 1e9: a score at the threshold is not above


def test_a_name_that_xml_cannot_hold_is_drawn() -> None:
    hostile = ["a\x1b[2J", "b\x00", "c\udcff", "$d$ \\foo", "e\ufffe</svg>"]
    documents = [*map(str, range(20)), *hostile]
    drawn = by_name(audited(normal(20), normal(5, 1), documents=documents))["documents"]
    drawing = ElementTree.fromstring(drawn.svg)
    texts = {element.text for element in drawing.iter() if element.text}
    assert {"a\ufffd[2J", "b\ufffd", "c\ufffd", "$d$ \\foo", "e\ufffd</svg>"} <= texts
    drawn.svg.encode()


@pytest.mark.timed
def test_five_thousand_candidates_take_seconds(page: dict[str, Figure]) -> None:  # matplotlib is imported
    documents = [f"d{i // 10}" for i in range(9000)]
    case = audited(normal(2000), normal(5000, 0.5), normal(2000, 1), documents=documents)
    start = time.process_time()
    drawn = figures_of(*case)
    assert time.process_time() - start < 2 * 2  # 2 s where the machine does nothing else
    assert sum(len(figure.svg.encode()) for figure in drawn) < 300_000


# -- for Python users --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    texts = sentences(50, seed=40)
    out = tmp_path_factory.mktemp("figures") / "run"
    options: dict[str, Any] = {
        "target": FakeBackend(0),
        "stand_in": "none",
        "attacks": ["min_k"],
        "redact": True,
        "history": out.parent / "history",
    }
    return audit(texts[30:], nonmembers=texts[:30], out=out, **options)


def test_figures_draw_on_axes_that_are_given(run: Audit) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    before = dict(mpl.rcParams)
    left, right = Canvas(figsize=(8, 3)).subplots(1, 2)
    assert p_values(run, left) is left
    assert scores(run, ax=right) is right
    assert left.patches
    alone = p_values(run)
    assert alone.figure is not left.figure
    (reason,) = roc(run).texts
    assert "no passages are known to have been trained on" in reason.get_text().replace("\n", " ")
    assert dict(mpl.rcParams) == before


def test_the_command_report_writes_every_figure_at_300_dots_per_inch(
    run: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run.path), "-o", str(tmp_path / "page.html"), "--figures"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("figures: 8 files")
    drawn = ["scores", "p_values", "documents", "false_positives"]  # without members
    folder = run.path / "figures"
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in drawn for kind in ("svg", "png")}
    image = (folder / "scores.png").read_bytes()
    assert image[:4] == b"\x89PNG"
    assert int.from_bytes(image[16:20], "big") == round(4.8 * 300)
    svg = (folder / "scores.svg").read_text(encoding="utf-8")
    assert "var(--" not in svg
    assert LIGHT["candidate"] in svg
    assert main(["report", str(run.path), str(run.path), "--figures"]) == 2
    assert "--figures belongs to a single run" in capsys.readouterr().err


def test_a_heat_map_has_every_token_in_its_place() -> None:
    text, ends = "The river\nbends $slowly$ \u6d77", [3, 9, 10, 15, 24, 26]
    signals = TokenSignals.of([-1.0, -0.1, -9.0, -4.0, -2.0], rank=[3, 0, 50, 9, 0])
    ax = heat_map(signals, text, ends=ends)
    assert [(label.get_text(), *label.get_position()) for label in ax.texts] == [
        ("The", 0, 0.45),
        (" river", 3, 0.45),
        ("bends", 0, 1.45),
        (" $slowly$", 5, 1.45),
        (" \u6d77", 14, 1.45),
    ]
    boxes, underlines = ax.collections
    assert len(boxes.get_paths()) == 4  # the first token is not scored, and the third is a line break
    assert len(underlines.get_paths()) == 1  # of the line break there is nothing to underline
    lightness = np.asarray(boxes.get_facecolor())[:, :3].sum(axis=1)
    assert np.argsort(lightness).tolist() == np.argsort([1.0, 9.0, 4.0, 2.0]).tolist()


def test_a_heat_map_refuses_other_tokens() -> None:
    signals = TokenSignals.of([-1.0, -2.0])
    with pytest.raises(UsageError, match="`ends` has 4 tokens"):
        heat_map(signals, "abcd", ends=[1, 2, 3, 4])
    with pytest.raises(UsageError, match="same tokenizer"):
        heat_map(signals, "ab", ends=[1, 2], reference=TokenSignals.of([-1.0, -2.0], tokenizer="other"))
    assert len(heat_map(signals, "ab").collections[0].get_paths()) == 2
