"""The structure of the package: what may import what, what is imported when, what is exported, and plain English."""

from __future__ import annotations

import ast
import importlib
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

import pytest

import llm_mia

PACKAGE = Path(llm_mia.__file__).parent
TESTS = Path(__file__).parent
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("durations", "records", "settings"),
    ("passages", "rewriting", "calibration", "metrics"),
    ("documents", "validity", "attacks", "backends", "queries"),
    ("store",),
    ("signals",),
    ("scores", "perplexities"),
    ("scoring", "training"),
    ("extraction", "shadow"),
    ("decision",),
    ("history",),
    ("auditing",),
    ("defenses", "guard", "monitor", "canary", "distributed"),
    ("gate",),
    ("report",),
    ("demo", "guides"),
    ("cli",),
    ("__main__",),
)
"""The packages from the ground up: each imports only from the floors below."""
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TORCH = {"torch", "transformers", "peft", "opacus"}
TORCH_PACKAGES = ("backends/local/", "backends/moments/", "backends/masked/", "training/")
HEAVY = TORCH | {"pyarrow", "scipy", "sklearn", "numpy", "datasets", "pandas"}
PRIVATE_IMPORTS: dict[str, str] = {
    "llm_mia.scores._columns": "the size of a file, and of a piece, from which on a table is not read as a whole",
    "llm_mia.auditing._deciding": "the decision of an audit is measured without a model",
    "llm_mia.auditing._record": "the decision of an audit is measured without a model",
    "llm_mia.decision._flag_files": "the size of the pieces in which decisions are written",
}
"""Private names that tests and scripts may import, each with the reason why no public name would do."""
WEAK_WORDS = re.compile(r"\b(?:told|tells nothing|belies|belie|as_is|mend|mends|mended|says nothing)\b", re.IGNORECASE)
"""What no sentence of the package says: each has a plain word, such as `contradicts`, `unchanged`, `repair`."""
WEAK_NAMES = {"found", "told", "said", "belies", "mend", "as_is", "beside"}
"""What no function, class or parameter is called, nor a part of its name between underscores."""
HELP = "import sys; from llm_mia.cli import main; sys.exit(main(['--help']))"

FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
NAMES = [".".join(("llm_mia", *Path(file).with_suffix("").parts)).removesuffix(".__init__") for file in FILES]


def nodes(file: str) -> list[ast.AST]:
    return nodes_of(PACKAGE / file)


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All that the file consists of; every rule reads every file, so each is parsed once."""
    return list(ast.walk(parsed(path)))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(file: str, module: str) -> Iterator[str]:
    """Full names of all that *file* imports: also inside functions, and for types alone."""
    yield from imports_of(nodes(file), module if file.endswith("__init__.py") else module.rpartition(".")[0])


def imports_of(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Full names of all that *nodes* import; *package* is where their relative imports begin."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{home}.{alias.name}" for alias in node.names)


def top_package(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


# Each rule is a single test over all files, which lists every violation: a test for each file costs more than the rule.


def test_imports_only_from_floors_below() -> None:
    wrong = [line for file, module in zip(FILES, NAMES, strict=True) for line in imports_from_above(file, module)]
    assert not wrong, "\n".join(wrong)


def imports_from_above(file: str, module: str) -> Iterator[str]:
    here = top_package(module)
    if not here:  # llm_mia/__init__.py may import every package
        return
    if here not in FLOOR:
        yield f"{file} is on no floor: add its package to FLOORS"
        return
    for name in imported(file, module):
        if name.split(".")[0] != "llm_mia" or name == "llm_mia.__version__":
            continue
        there = top_package(name)
        if there not in FLOOR:
            yield f"{file} imports {name}: of the package itself, or of no floor"
        elif there != here and FLOOR[there] >= FLOOR[here]:
            yield f"{file}, floor {FLOOR[here]}, imports {name}, floor {FLOOR[there]}"


def test_imports_no_private_name_of_another_package() -> None:
    wrong = []
    for file, module in zip(FILES, NAMES, strict=True):
        for name in imported(file, module):
            parts = name.split(".")
            private = [i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
            owner = ".".join(parts[: private[0]]) if private else ""
            if parts[0] == "llm_mia" and private and not f"{module}.".startswith(f"{owner}."):
                wrong.append(f"{file} imports {name}, private in {owner}")
    assert not wrong, "\n".join(wrong)


def test_every_import_is_seen() -> None:
    names = dict(zip(FILES, NAMES, strict=True))
    assert "llm_mia.errors.LlmMiaError" in set(imported("cli/__init__.py", names["cli/__init__.py"]))
    assert "llm_mia.store.RunDirectory" in set(imported("signals/_passes.py", names["signals/_passes.py"]))
    assert "llm_mia.backends.moments.Head" in set(
        imported("backends/local/_model_check.py", "llm_mia.backends.local._model_check")
    )
    assert "llm_mia.decision.calibrate" in set(imported("cli/_commands.py", names["cli/_commands.py"]))


def private_part(name: str) -> str | None:
    """The full *name* up to its first part with an underscore; None where it has no such part."""
    parts = name.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")), None)
    return None if parts[0] != "llm_mia" or private is None else ".".join(parts[: private + 1])


def private_imports() -> dict[str, set[str]]:
    """The private names that tests and scripts import, or name in a string; each with the files that do."""
    users: dict[str, set[str]] = {}
    for path in sorted({*TESTS.glob("*.py"), *(TESTS.parent / "scripts").rglob("*.py")} - {Path(__file__)}):
        module = list(ast.walk(parsed(path)))
        texts = [str(node.value) for node in module if isinstance(node, ast.Constant)]
        named = [name for text in texts for name in re.findall(r"\bllm_mia[.\w]*", text)]  # also in code for a process
        for name in filter(None, map(private_part, [*imports_of(module, "tests"), *named])):
            users.setdefault(name, set()).add(path.name)
    return users


def test_tests_and_scripts_import_no_private_name() -> None:
    users = private_imports()
    for name, reason in PRIVATE_IMPORTS.items():
        sys.stdout.write(f"{name}: {reason}\n")  # pytest -rP shows it
    unlisted = {name: sorted(files) for name, files in users.items() if name not in PRIVATE_IMPORTS}
    assert not unlisted, "use a public name, or add the private one to PRIVATE_IMPORTS with the reason"
    unused = set(PRIVATE_IMPORTS) - set(users)
    assert not unused, "nothing imports these: remove them from PRIVATE_IMPORTS"


def test_english_is_plain() -> None:
    wrong = []
    for file, node in every_node():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            weak = WEAK_WORDS.search(node.value)
            if weak:
                wrong.append(f"{file}:{node.lineno} has the word {weak.group()!r} in {node.value!r}")
        for name in defined_by(node):
            if WEAK_NAMES & {name, *name.split("_")}:
                wrong.append(f"{file}:{getattr(node, 'lineno', 0)} defines {name!r}: say what it is or does")
    assert not wrong, "\n".join(wrong)


def every_node() -> Iterator[tuple[str, ast.AST]]:
    return ((file, node) for file in FILES for node in nodes(file))


def defined_by(node: ast.AST) -> list[str]:
    """The names of functions, classes and parameters that *node* itself defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    return [node.arg] if isinstance(node, ast.arg) else []


def test_torch_is_imported_in_few_packages() -> None:
    wrong = []
    for file, module in zip(FILES, NAMES, strict=True):
        heavy = {name.split(".")[0] for name in imported(file, module)} & TORCH
        if heavy and not file.startswith(TORCH_PACKAGES):
            wrong.append(f"{file} imports {', '.join(sorted(heavy))}")
    assert not wrong, "\n".join(wrong)


def test_prints_only_in_the_command_line_and_swallows_nothing() -> None:
    wrong = []
    for file, node in every_node():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            if not file.startswith("cli/"):
                wrong.append(f"{file}:{node.lineno} prints")
        elif isinstance(node, ast.ExceptHandler) and swallows_everything(node):
            wrong.append(f"{file}:{node.lineno} swallows every error")
    assert not wrong, "\n".join(wrong)


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )
    return broad and all(isinstance(line, ast.Pass | ast.Continue) for line in handler.body)


@pytest.mark.parametrize(
    ("rule", "source", "violation"),
    [
        (test_imports_only_from_floors_below, "import llm_mia.cli", "floor 1, imports llm_mia.cli, floor"),
        (test_imports_only_from_floors_below, "import llm_mia.nowhere", "or of no floor"),
        (test_imports_no_private_name_of_another_package, "from ..store import _parts", "private in llm_mia.store"),
        (test_english_is_plain, "'It says nothing.'", "has the word 'says nothing'"),
        (test_english_is_plain, "def f(told): ...", "defines 'told'"),
        (test_torch_is_imported_in_few_packages, "def f():\n    import torch.nn", "imports torch"),
        (test_prints_only_in_the_command_line_and_swallows_nothing, "print()", "prints"),
        (
            test_prints_only_in_the_command_line_and_swallows_nothing,
            "try:\n    f()\nexcept Exception:\n    pass",
            "swallows every error",
        ),
    ],
)
def test_a_rule_lists_every_violation(
    rule: Callable[[], None], source: str, violation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ["records/_one.py", "records/_two.py"]
    (tmp_path / "records").mkdir()
    for file in files:
        (tmp_path / file).write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "FILES", files)
    monkeypatch.setattr(sys.modules[__name__], "NAMES", ["llm_mia.records._one", "llm_mia.records._two"])
    with pytest.raises(AssertionError) as raised:
        rule()
    lines = str(raised.value).splitlines()[:2]
    assert [line.split(",")[0].split()[0].split(":")[0] for line in lines] == files
    assert all(violation in line for line in lines)


def test_every_file_name_has_a_meaning() -> None:
    unwanted = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "factory"}
    assert not [file for file in FILES if unwanted & {part.strip("_") for part in Path(file).with_suffix("").parts}]


def test_every_public_module_lists_its_names() -> None:
    wrong = []
    for module in NAMES:
        loaded = importlib.import_module(module)
        private = any(part.startswith("_") for part in module.split("."))
        if not private and "__all__" not in vars(loaded):
            wrong.append(f"{module} has no __all__")
        exported = getattr(loaded, "__all__", [])
        if len(set(exported)) < len(exported):
            wrong.append(f"{module} exports a name twice: {sorted(exported)}")
        wrong += [
            f"{module} exports {name!r}, which it does not have" for name in exported if not hasattr(loaded, name)
        ]
    assert not wrong, "\n".join(wrong)


def test_exported_members() -> None:
    typed = {
        alias.asname or alias.name
        for block in parsed(PACKAGE / "__init__.py").body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*llm_mia.__all__} == typed | {"__version__"}
    assert llm_mia.__all__ == sorted(llm_mia.__all__)
    assert dir(llm_mia) == llm_mia.__all__
    with pytest.raises(AttributeError, match="no attribute 'adit'"):
        _ = llm_mia.adit


def test_public_verbs_are_functions() -> None:
    from llm_mia import attack, audit, calibrate, evaluate, flag, score

    for function in (attack, audit, calibrate, evaluate, flag, score):
        assert isinstance(function, FunctionType)


@pytest.mark.parametrize("module", ["llm_mia", "llm_mia.cli", "llm_mia.errors"])
def test_imports_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.timed
@pytest.mark.parametrize(
    ("what", "limit"), [(["-c", "import llm_mia"], 0.3), (["-c", HELP], 0.4)], ids=["import", "help"]
)
def test_starts_quickly(what: list[str], limit: float) -> None:
    """The limit is twice the time that the design allows, for machines that do other things at the same time."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run([sys.executable, *what], env=environment, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[1:])
    sys.stdout.write(f"{what[1][:20]}… {median:.3f} s of {limit} s\n")  # pytest -rP shows it
    assert median < 2 * limit
