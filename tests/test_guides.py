"""The guides: every topic can be printed, and every command, option and file that a guide names exists."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.markdown import Markdown

from llm_mia.cli import app, main
from llm_mia.cli.parameters import commands_by_name
from llm_mia.guides import guide, topics

ROOT = Path(__file__).parents[1]
COMMANDS = commands_by_name(typer.main.get_command(app))


def commands_in(text: str) -> list[str]:
    """The arguments of each command in *text*: in code, between backticks or on a line that is indented."""
    code = re.findall(r"`(llm-mia [^`\n]+)`", text) + re.findall(r"^    (llm-mia .+?)(?:\s+#.*)?$", text, re.MULTILINE)
    return [line.removeprefix("llm-mia ") for line in code]


def unknown_part(line: str) -> str | None:
    """The part of the command *line* that the command line does not know; None where it knows all."""
    name, *arguments = shlex.split(line)
    if name in {command.split()[0] for command in COMMANDS if " " in command}:  # a group
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    if name not in COMMANDS:
        return name
    known = {
        spelling for parameter in COMMANDS[name].params for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    options = [argument.split("=")[0].strip("[]") for argument in arguments if argument.strip("[").startswith("-")]
    return next((option for option in options if option not in known | {"-", "--help", "-h"}), None)


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(topics())
    assert "formats       What can be read, and what was tested" in lines


@pytest.mark.parametrize("topic", topics())
def test_a_guide_is_printed_as_it_is_written(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", topic]) == 0
    assert capsys.readouterr().out == guide(topic)
    assert guide(topic).startswith(f"# {topics()[topic]}\n")


@pytest.mark.parametrize("topic", topics())
def test_a_terminal_of_80_columns_shows_every_word(topic: str) -> None:
    screen = io.StringIO()
    Console(file=screen, width=80).print(Markdown(guide(topic)))
    assert "\N{HORIZONTAL ELLIPSIS}" not in screen.getvalue(), "rich shortens words that are wider than their column"


def test_no_such_guide(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", "format"]) == 2
    assert capsys.readouterr().err == "llm-mia: there is no guide about TOPIC 'format': did you mean 'formats'?\n"
    assert main(["guide", "zzz"]) == 2
    assert (
        capsys.readouterr().err
        == f"llm-mia: there is no guide about TOPIC 'zzz': the guides are {', '.join(topics())}\n"
    )


@pytest.mark.parametrize("topic", topics())
def test_commands_options_and_files_exist(topic: str) -> None:
    text = guide(topic)
    assert {line: unknown_part(line) for line in commands_in(text) if unknown_part(line)} == {}
    options = {spelling for command in COMMANDS.values() for option in command.params for spelling in option.opts}
    assert not {option for option in re.findall(r"`(--?[a-z][a-z-]*)`", text) if option not in options}
    for file in re.findall(r"`((?:tests|scripts|llm_mia)/[\w./]+\.py)`", text):
        assert (ROOT / file).is_file(), file


def test_a_wrong_command_is_noticed() -> None:
    text = (
        "Use `llm-mia audit a.jsonl --no-such` or\n\n    llm-mia adit a.jsonl  # a comment\n\nand `llm-mia show run/`."
    )
    assert [unknown_part(line) for line in commands_in(text)] == ["--no-such", None, "adit"]
