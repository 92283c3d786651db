"""The guide "How far it goes": each figure that it calls computed is what its own formulas give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_mia.guides import guide
from llm_mia.signals import Limits

PAGE = guide("scale")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """The formulas and the numbers of the page."""
    defined: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, defined)
    return defined


def rows() -> Iterator[tuple[str, str]]:
    for name, *cells in re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", PAGE, re.MULTILINE):
        yield name, " | ".join(cells)


def digits(value: float) -> str:
    """*value* with three digits."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def expected(names: dict[str, Any]) -> dict[str, str]:
    """The cells of every row, from the formulas."""
    models, counts = (names["seven"], names["seventy"]), (1e9, 1e12)

    def by_model(figure: Any) -> str:
        return " | ".join(digits(figure(*model)) for model in models)

    def by_count(figure: Any) -> str:
        return " | ".join(digits(figure(count)) for count in counts)

    signals = [names["bytes_per_token"] * count for count in counts]
    memory = [names["passage_bytes"] * names["passages"](count) / 1e9 for count in counts]
    seconds = [names["passage_seconds"] * names["passages"](count) for count in counts]
    parts = by_count(lambda count: names["parts"](count, *names["seven"]))
    kept = {
        "`full`": names["bytes_per_token"],
        "`scores`, likelihoods alone (`loss`, `min_k`, `zlib`, `reference`, `wbc`)": names["loss_bytes"],
        "`scores`, also token ids (`camia`, `dc_pdd`)": names["camia_bytes"],
        "`scores`, likelihoods and moments (`min_k++`, `gap_k`, `surp`)": names["min_k_plus_bytes"],
        "`none`, passages of 256 tokens": names["none_of_token"],
    }
    return {
        **{name: f"{digits(each)} | {digits(names['gigabytes'](1e9, each))}" for name, each in kept.items()},
        "operations for a token, 10⁹": by_model(lambda *model: names["operations"](*model) / 1e9),
        "tokens a second on a card": by_model(names["tokens_per_second"]),
        "card-hours for 10⁹ tokens": by_model(lambda *model: names["card_hours"](1e9, *model)),
        "card-hours for 10¹² tokens": by_model(lambda *model: names["card_hours"](1e12, *model)),
        "weights in bfloat16, GB": by_model(lambda parameters, *_: 2 * parameters / 1e9),
        "signals": f"{signals[0] / 1e9:.0f} GB | {signals[1] / 1e12:.0f} TB",
        "parts, 7B on one card": parts,
        "parts, 70B on one card": by_count(lambda count: names["parts"](count, *names["seventy"])),
        "requests to copy them to an object store, 7B": parts,
        "requests to read them back once, 7B": parts,
        "passages": by_count(names["passages"]),
        "memory": f"{memory[0]:.2g} GB | {digits(float(f'{memory[1]:.2g}'))} GB",
        "time besides the model": f"{seconds[0] / 60:.1f} min | {seconds[1] / 3600:.0f} h",
    }


def test_every_row_is_what_the_formulas_give(names: dict[str, Any]) -> None:
    assert dict(rows()) == expected(names)


def test_figures_in_the_text_are_what_the_formulas_give(names: dict[str, Any]) -> None:
    sample = 100_000 * names["passage_tokens"]
    assert f"{sample / 1e6:.0f} million tokens, and takes {names['card_hours'](sample, *names['seven']):.2f}" in PAGE
    part = names["part_seconds"] * names["tokens_per_second"](*names["seven"]) * names["bytes_per_token"]
    assert f"{part / 1e6:.0f} MB on a 7B model" in " ".join(PAGE.split())


def test_the_numbers_that_the_package_sets_are_its_own(names: dict[str, Any]) -> None:
    assert (names["part_tokens"], names["part_seconds"]) == (Limits().part_tokens, Limits().part_seconds)


def test_every_measured_figure_names_a_script_and_a_section_that_exist() -> None:
    named = re.findall(r"`scripts/(bench_\w+\.py) --only (\w+)`", PAGE)
    assert len(named) == 4
    for script, section in named:
        assert f'"{section}":' in (ROOT / "scripts" / script).read_text("utf-8")
    assert (ROOT / "scripts" / "check_gpu").exists()
    # Whatever is claimed is marked.
    assert PAGE.count("*measured*") >= 4
    assert PAGE.count("*computed*") >= 5
