"""Every message that llm_mia raises: names parameters that exist, in backticks, and no option of the command line."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeGuard

import pytest
import typer

import llm_mia
import llm_mia.errors
from llm_mia.cli import app
from llm_mia.cli.parameters import FUNCTIONS, commands_by_name

from .conftest import options_named_in

PACKAGE = Path(llm_mia.__file__).parent
ERRORS = {name for name in llm_mia.errors.__all__ if name.endswith("Error")}
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
NAMED = re.compile(r"`([A-Za-z_]\w*)(?:\[[^`]*\])?`")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]+\b|llm-mia [a-z]+")


def messages(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and text of each literal in a call of an error; what is filled in is left as ``{}``."""
    for node in nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, argument.value
            elif isinstance(argument, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in argument.values)
                yield node.lineno, "".join(str(part) for part in parts)


def parameters() -> set[str]:
    """The parameters of every public function, method and dataclass, and of the commands."""
    found: set[str] = set()
    for path in FILES:
        module = importlib.import_module(
            ".".join(("llm_mia", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        )
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if is_dataclass(value) and isinstance(value, type):
                found |= {field.name for field in fields(value)}
            for one in (value, *(vars(value).values() if isinstance(value, type) else ())):
                function = getattr(one, "__func__", one)
                if inspect.isfunction(function):
                    found |= set(inspect.signature(function).parameters)
    return found


def literals(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and text of every literal but documentation; what is filled in is left as ``{}``."""
    passed_over = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            passed_over |= {id(part) for part in node.values}
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.lineno, node.value


Texts = list[tuple[str, str]]


def texts_of_the_package() -> tuple[Texts, Texts, Texts]:
    """Place and text of the messages, of all literals, and of the constants that are no documentation."""
    found: tuple[Texts, Texts, Texts] = ([], [], [])
    for path in FILES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for texts, here in zip(found, (messages(nodes), literals(nodes), constants(nodes)), strict=True):
            texts += [(f"{path.relative_to(PACKAGE)}:{line}", text) for line, text in here]
    return found


def constants(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    documentation = {id(node.value) for node in nodes if is_documentation(node)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def is_documentation(node: ast.AST) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


MESSAGES, LITERALS, CONSTANTS = texts_of_the_package()
COMMANDS = commands_by_name(typer.main.get_command(app))
GROUPS = "".join(f"(?:{group} )?" for group in sorted({name.split()[0] for name in COMMANDS if " " in name}))
"""Before the name of a command, for patterns: the groups that it may be in."""
OF_OTHERS = {"__arrow_c_stream__", "flatten_indices", "save_to_disk"}
"""Names of other libraries."""


def options_of_command(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}


def test_every_name_in_backticks_exists_in_whatever_may_be_printed() -> None:
    """Notes, reasons and parts of messages too, not only what is passed to an error."""
    known = parameters() | {name for path in FILES if path.name == "__init__.py" for name in exported(path)} | OF_OTHERS
    named = [
        (where, name) for where, text in LITERALS for name in re.findall(r"`([A-Za-z_]\w*)(?:\[[^`]*\]|\(\))?`", text)
    ]
    assert len(named) > 150
    assert [(where, name) for where, name in named if name not in known] == []


def test_every_command_that_is_named_exists_with_its_options() -> None:
    texts = [*LITERALS, *((str(path), path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.md"))]
    named = [
        (where, *match)
        for where, text in texts
        for match in re.findall(rf"llm-mia ({GROUPS}[a-z]+\b)((?: [^'`\"\n]*)?)", text)
    ]
    assert len({command for _, command, _ in named}) > 5
    wrong = [
        (where, command, option)
        for where, command, rest in named
        for option in (["a command"] if command not in COMMANDS else re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest))
        if command not in COMMANDS or option not in options_of_command(command)
    ]
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_only_its_options(command: str) -> None:
    """In its function and what that calls within the command line, such as lines of advice; not in ``--help``."""
    (first,) = {
        (module, name)
        for module, name in BODIES
        if name in (command.split()[-1], command.replace(" ", "_")) and module not in ("output", "progress")
    }
    reached, left = set[tuple[str, str]](), [first]
    while left:
        place = left.pop()
        place = IMPORTED.get(place, place)
        if place in BODIES and place not in reached:
            reached.add(place)
            nodes = [node for part in BODIES[place] for node in ast.walk(part)]
            left += [(place[0], node.id) for node in nodes if isinstance(node, ast.Name)]
    nodes = [node for place in reached for part in BODIES[place] for node in ast.walk(part)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert set().union(*map(options_named_in, texts)) <= options_of_command(command)


Places = dict[tuple[str, str], tuple[str, str]]


def bodies_and_imports() -> tuple[dict[tuple[str, str], list[ast.stmt]], Places]:
    """By module and name within the command line: functions without their documentation, and constants; imports."""
    bodies: dict[tuple[str, str], list[ast.stmt]] = {}
    imports: Places = {}
    for path in (PACKAGE / "cli").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                bodies[path.stem, node.name] = [part for part in node.body if not is_documentation(part)]
            elif isinstance(node, ast.Assign) and path.stem != "_options":  # options have help, which has its test
                assigned = [name for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
                bodies |= {(path.stem, name.id): [node] for name in assigned}
            elif isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                imports |= {(path.stem, name.asname or name.name): (node.module, name.name) for name in node.names}
    return bodies, imports


BODIES, IMPORTED = bodies_and_imports()


def test_there_are_messages_that_name_parameters() -> None:
    assert len(MESSAGES) > 150
    assert sum(bool(NAMED.search(text)) for _, text in MESSAGES) > 20


def test_nothing_else_that_may_be_printed_names_an_option() -> None:
    """Notes and reasons, which are phrased outside of the call of an error."""
    wrong = [
        f"{where}: {text!r}"
        for where, text in CONSTANTS
        if not where.startswith(("cli/", "report/", "guides/")) and "pip install" not in text
        if re.search(r"(?<![\w-])--[a-z]|llm-mia [a-z]", text)
    ]
    assert not wrong, "\n".join(wrong)


def test_functions_that_stand_for_commands_exist() -> None:
    public = {name for path in FILES if path.name == "__init__.py" for name in exported(path)}
    assert set(FUNCTIONS) - public == set()


def exported(path: Path) -> list[str]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    module = importlib.import_module(".".join(("llm_mia", *parts)).removesuffix(".__init__"))
    return list(getattr(module, "__all__", ()))


def test_no_message_of_the_library_names_an_option_or_spans_lines() -> None:
    wrong = [
        f"{where}: {text!r}"
        for where, text in MESSAGES
        if "\n" in text or (not where.startswith("cli/") and "pip install" not in text and OPTION.search(text))
    ]
    assert not wrong, "\n".join(wrong)
