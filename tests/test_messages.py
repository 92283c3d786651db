"""Every message that llm_mia raises: names parameters that exist, in backticks, and no option of the command line."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import llm_mia
import llm_mia.errors
from llm_mia.cli.parameters import FUNCTIONS

PACKAGE = Path(llm_mia.__file__).parent
ERRORS = {name for name in llm_mia.errors.__all__ if name.endswith("Error")}
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
NAMED = re.compile(r"`([A-Za-z_]\w*)(?:\[[^`]*\])?`")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]+\b|llm-mia [a-z]+")


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each literal in a call of an error; what is filled in is left as ``{}``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, argument.value
            elif isinstance(argument, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in argument.values)
                yield node.lineno, "".join(str(part) for part in parts)


MESSAGES = [(f"{path.relative_to(PACKAGE)}:{line}", text) for path in FILES for line, text in messages(path)]


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


def test_there_are_messages_that_name_parameters() -> None:
    assert len(MESSAGES) > 150
    assert sum(bool(NAMED.search(text)) for _, text in MESSAGES) > 20


def test_every_name_in_backticks_is_a_parameter_or_another_public_name() -> None:
    known = parameters() | {name for path in FILES if path.name == "__init__.py" for name in exported(path)}
    unknown = [(where, name) for where, text in MESSAGES for name in NAMED.findall(text) if name not in known]
    assert unknown == []


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_nothing_else_that_may_be_printed_names_an_option(path: Path) -> None:
    """Notes and reasons, which are phrased outside of the call of an error."""
    if path.relative_to(PACKAGE).parts[0] in ("cli", "report", "guides"):
        return
    module = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            assert "pip install" in node.value or not re.search(r"(?<![\w-])--[a-z]|llm-mia [a-z]", node.value)


def test_functions_that_stand_for_commands_exist() -> None:
    public = {name for path in FILES if path.name == "__init__.py" for name in exported(path)}
    assert set(FUNCTIONS) - public == set()


def exported(path: Path) -> list[str]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    module = importlib.import_module(".".join(("llm_mia", *parts)).removesuffix(".__init__"))
    return list(getattr(module, "__all__", ()))


@pytest.mark.parametrize(("where", "text"), MESSAGES, ids=[where for where, _ in MESSAGES])
def test_no_message_of_the_library_names_an_option_or_spans_lines(where: str, text: str) -> None:
    assert "\n" not in text
    if not where.startswith("cli/") and "pip install" not in text:
        assert OPTION.search(text) is None
