"""The examples of the guide about the gate: valid YAML and TOML, commands that exist, and the defaults of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from llm_mia.gate import DEFAULTS, TprLimit, read_limits
from llm_mia.guides import guide

from .test_guides import unknown_part


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", guide("gate"), re.MULTILINE | re.DOTALL)


def commands(script: list[Any]) -> list[str]:
    return [" ".join(each.split()) for each in script if isinstance(each, str) and each.startswith("llm-mia ")]


def test_the_examples_for_continuous_integration_are_valid() -> None:
    of_github, of_gitlab = (yaml.safe_load(example) for example in examples("yaml"))
    steps = of_github["jobs"]["gate"]["steps"]
    assert all({"uses", "run"} & set(step) for step in steps)
    assert of_gitlab["gate"]["artifacts"]["reports"]["junit"] == "gate.xml"
    written = commands([step.get("run") for step in steps]), commands(of_gitlab["gate"]["script"])
    assert written[0] == written[1]
    (command,) = written[0]
    assert unknown_part(command.removeprefix("llm-mia ")) is None
    assert "--junit gate.xml" in command


def test_the_example_of_limits_is_read(tmp_path: Path) -> None:
    (example,) = examples("toml")
    (tmp_path / "gate.toml").write_text(example)
    assert read_limits(tmp_path / "gate.toml").max_tpr == (TprLimit(0.02, 0.01), TprLimit(0.1, 0.05))


def test_the_defaults_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `--(\S+)` \| (\S+) \|", guide("gate"), re.MULTILINE))
    assert rows == {
        "max-gap": f"{DEFAULTS.max_gap:g}",
        "max-auroc": f"{DEFAULTS.max_auroc:g}",
        "max-tpr": ", ".join(map(str, DEFAULTS.max_tpr or ())),
        "max-epsilon": f"{DEFAULTS.max_epsilon:g}",
        "max-extractable": f"{DEFAULTS.max_extractable:g}",
    }
