"""Shared options are declared once, '--help' shows them in panels, and messages are in the options of the command."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from llm_mia.cli import app, main
from llm_mia.cli.grouping import OptionGroup, with_groups
from llm_mia.cli.parameters import commands_by_name, options_of, running, spelled
from llm_mia.report import CHOICES

COMMANDS = commands_by_name(typer.main.get_command(app))


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(OptionGroup):
    width: Annotated[int, typer.Option("-w", "--width")]
    height: Annotated[int, typer.Option()] = 2

    def area(self) -> int:
        return self.width * self.height


def draw(size: Size, name: str = "x") -> int:
    """Draw."""
    sys.stdout.write(f"{name} {size.area()}\n")
    return 0


def test_a_group_becomes_options_and_is_passed_as_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    small = typer.Typer()
    small.command()(with_groups(draw))
    command: Any = typer.main.get_command(small)
    assert [parameter.name for parameter in command.params][:3] == ["name", "width", "height"], "the group comes last"
    assert command.help == "Draw."
    assert command.main(["-w", "3", "--name", "y"], standalone_mode=False) == 0
    assert command.main(["--width", "3", "--height", "5"], standalone_mode=False) == 0
    assert capsys.readouterr().out == "y 6\nx 15\n"


def test_options_of_a_group_and_of_the_command_must_differ() -> None:
    def twice(size: Size, height: int = 1) -> int:
        return size.area() + height

    with pytest.raises(ValueError, match="duplicate parameter name: 'height'"):
        with_groups(twice)


def test_parameters_in_messages_become_options_of_the_running_command() -> None:
    message = "`window_tokens` of 3 is too small: ask for more, or give fewer `shots`, as `count_frequencies` does"
    assert spelled(message) == (
        "window_tokens of 3 is too small: ask for more, or give fewer shots, as 'llm-mia frequencies' does"
    )
    with running(options_of(COMMANDS["score"])):
        assert spelled(message).startswith("--window-tokens of 3 is too small: ask for more, or give fewer --shots, ")
        assert spelled("`attacks` and `fit_share`") == "--attack and fit_share"
    with running(options_of(COMMANDS["calibrate"])):
        assert spelled("`fit_share` and `target`") == "--fit-share and target"
    assert spelled("no column `a b`, and a lone ` too") == "no column `a b`, and a lone ` too", "not a parameter"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    command = COMMANDS[name]
    for parameter in command.params:
        if parameter.opts[0][0] == "-":
            assert parameter.help, f"{parameter.name} is not explained"
            assert all(option in shown for option in (*parameter.opts, *parameter.secondary_opts))
    panels = re.findall(r"^╭─ (.*?) ─", shown, re.MULTILINE)
    assert panels[0] in ("Arguments", "Options")
    assert len(set(panels)) == len(panels)
    # What a command's help names as an option is an option of it.
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown))
    assert named <= {option for parameter in command.params for option in parameter.opts} | {"--help"}


def test_shared_options_read_the_same_everywhere() -> None:
    helps: dict[str, set[str]] = {}
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if (name, parameter.name) == ("frequencies", "text_column"):
                continue  # it has a single input, so there is no input to name
            if parameter.name in ("text_column", "document_column", "dtype", "target", "neighbours", "as_json"):
                helps.setdefault(parameter.name, set()).add(parameter.help)
        assert ("target" in {parameter.name for parameter in command.params}) == (
            name in ("audit", "score", "extract", "gate", "frequencies", "perplexity", "paired", "canary test")
        )
    assert helps
    assert [name for name, texts in helps.items() if len(texts) > 1] == []


def test_the_target_has_three_spellings() -> None:
    for name in ("audit", "score", "extract", "gate", "frequencies"):
        target = next(parameter for parameter in COMMANDS[name].params if parameter.name == "target")
        assert target.opts == ["-m", "--target", "--model"]


def test_only_commands_that_can_use_endpoints_have_options_for_them() -> None:
    """No endpoint trains a model, so there is nothing that such an option could limit."""
    limits = {"max_requests", "max_tokens", "price", "concurrency"}
    with_limits = {name for name, command in COMMANDS.items() if limits & {option.name for option in command.params}}
    assert with_limits == {"audit", "score", "gate", "extract", "perplexity", "paired", "canary test"}


@pytest.mark.parametrize("word", ["auto", "stack", "default", "all"])
def test_words_in_the_place_of_an_attack_are_explained(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    from llm_mia.decision import DEFAULT_ATTACKS, FEWEST, Wanted

    assert main(["attacks", word]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"^word +{word}\n", shown)
    explained = CHOICES[word]
    assert main(["attacks", word, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[word]["summary"] == explained.summary
    # The explanation agrees with the code and with the commands.
    if word != "all":
        assert f"at least {FEWEST[Wanted(word)]} " in explained.needs
    if word in ("auto", "default"):
        assert all(f"'{attack}'" in explained.caution + explained.summary for attack in DEFAULT_ATTACKS)
    for command, _ in re.findall(r"llm-mia (\w+) … (-a \w+)", explained.use):
        assert command in COMMANDS


def test_an_unknown_word_is_no_attack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attacks", "stak"]) == 2
    assert capsys.readouterr().err.startswith("llm-mia: no attack is named 'stak'")
