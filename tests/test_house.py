"""The house of `design.md`: which room may look into which, what is imported when, and what the package exports."""

from __future__ import annotations

import ast
import importlib
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

import llm_mia

PACKAGE = Path(llm_mia.__file__).parent
TESTS = Path(__file__).parent
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("records",),
    ("passages", "rewriting", "calibration", "metrics"),
    ("documents", "validity", "attacks", "backends"),
    ("store",),
    ("signals",),
    ("scores", "perplexities"),
    ("scoring",),
    ("extraction",),
    ("decision",),
    ("auditing",),
    ("training", "shadow", "defenses", "gate", "guard", "monitor", "canary", "distributed"),
    ("report",),
    ("demo", "guides"),
    ("cli",),
)
"""The packages from the ground up: each imports only from floors below its own."""
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TORCH = {"torch", "transformers", "peft"}
TORCH_ROOMS = ("backends/local/", "backends/moments/", "backends/masked/", "training")
HEAVY = TORCH | {"pyarrow", "scipy", "sklearn", "numpy", "datasets", "pandas"}
PRIVATE_IMPORTS: dict[str, str] = {
    "llm_mia.attacks._tail": "a reduction that several attacks share, against numpy's sort",
    "llm_mia.attacks.sequence._phrases": "the count of one attack, against the plain definition",
    "llm_mia.auditing._texts": "how often an audit reads a source is counted where the reading is",
    "llm_mia.backends._files": "digests of files that no model can be loaded from",
    "llm_mia.backends.local._batching": "batches of given lengths, without a model",
    "llm_mia.backends.local._causality": "the share of the last token, exactly zero for a causal model",
    "llm_mia.backends.local._generating": "limits of memory, reached without filling it",
    "llm_mia.backends.local._memory": "error texts of allocators that this machine does not have",
    "llm_mia.backends.local._precision": "the choice of a precision, given two measured times",
    "llm_mia.backends.local._prefix": "faults planted in the cache, which the tests must notice",
    "llm_mia.backends.masked._fillers": "the words of a vocabulary, without a model",
    "llm_mia.backends.masked._rewriter": "the draw of a substitute, given its probabilities",
    "llm_mia.backends.masked._spans": "the case of a word, without a model",
    "llm_mia.backends.moments._compiled": "each way to sweep the vocabulary, against float64",
    "llm_mia.backends.moments._eager": "each way to sweep the vocabulary, against float64",
    "llm_mia.backends.moments._reducer": "blocks so small that tiny models need several",
    "llm_mia.cli._grouping": "groups of options, with functions of the test's",
    "llm_mia.cli._output": "an error while output is written",
    "llm_mia.cli._parameters": "how parameters of messages are printed, for every command",
    "llm_mia.decision._stack": "the record of a stack, by its arithmetic",
    "llm_mia.decision._stacking": "the regression and the trees, against the textbook",
    "llm_mia.passages._ids": "digests that are equal, which no text provides",
    "llm_mia.passages._readers": "a reader whose file changes between two readings",
    "llm_mia.passages._spool": "a spool on a full disk",
    "llm_mia.scoring._score": "a stop between two files",
    "llm_mia.scoring._table": "a stop between two files",
    "llm_mia.training._loss": "the loss, against that of transformers",
}
"""The private modules that tests import, each with the reason why no public name would do."""
WEAK_WORDS = re.compile(r"\b(?:told|tells nothing|belies|belie|as_is|mend|mends|mended|says nothing)\b", re.IGNORECASE)
"""What no sentence of the package says: each has a plain word, such as `contradicts`, `unchanged`, `repair`."""
WEAK_NAMES = {"found", "told", "said", "belies", "mend", "as_is", "beside"}
"""What no function, class or parameter is called, nor a part of its name between underscores."""
HELP = "import sys; from llm_mia.cli import main; sys.exit(main(['--help']))"

FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
NAMES = [".".join(("llm_mia", *Path(file).with_suffix("").parts)).removesuffix(".__init__") for file in FILES]


def tree(file: str) -> ast.Module:
    return parsed(PACKAGE / file)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(file: str, module: str) -> Iterator[str]:
    """Full names of all that *file* imports, wherever in it, and also where only the types are wanted."""
    yield from imports_of(tree(file), module if file.endswith("__init__.py") else module.rpartition(".")[0])


def imports_of(module: ast.Module, package: str) -> Iterator[str]:
    """Full names of all that *module* imports; *package* is where its relative imports begin."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{home}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize(("file", "module"), [*zip(FILES, NAMES, strict=True)], ids=FILES)
def test_looks_only_into_rooms_below(file: str, module: str) -> None:
    here = room(module)
    if not here:  # the front door opens every room
        return
    assert here in FLOOR, f"{file} is on no floor: add its package to FLOORS"
    for name in imported(file, module):
        if name.split(".")[0] != "llm_mia" or name == "llm_mia.__version__":
            continue
        there = room(name)
        assert there in FLOOR, f"{file} imports {name}: of the package itself, or of no floor"
        allowed = there == here or FLOOR[there] < FLOOR[here]
        assert allowed, f"{file}, floor {FLOOR[here]}, imports {name}, floor {FLOOR[there]}"


@pytest.mark.parametrize(("file", "module"), [*zip(FILES, NAMES, strict=True)], ids=FILES)
def test_imports_no_private_name_of_another_package(file: str, module: str) -> None:
    for name in imported(file, module):
        parts = name.split(".")
        private = [i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
        if parts[0] == "llm_mia" and private:
            owner = ".".join(parts[: private[0]])
            assert module == owner or module.startswith(f"{owner}."), f"{file} imports {name}, private in {owner}"


def test_every_import_is_seen() -> None:
    names = dict(zip(FILES, NAMES, strict=True))
    assert "llm_mia.errors.LlmMiaError" in set(imported("cli/__init__.py", names["cli/__init__.py"]))
    assert "llm_mia.store.RunDirectory" in set(imported("signals/_passes.py", names["signals/_passes.py"]))
    assert "llm_mia.backends.moments.Head" in set(
        imported("backends/local/_backend.py", "llm_mia.backends.local._backend")
    )
    assert "llm_mia.decision.calibrate" in set(imported("cli/_commands.py", names["cli/_commands.py"]))


def private_part(name: str) -> str | None:
    """The full *name* up to its first part with an underscore; None where it has no such part."""
    parts = name.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")), None)
    return None if parts[0] != "llm_mia" or private is None else ".".join(parts[: private + 1])


@pytest.mark.parametrize(("file", "module"), [*zip(FILES, NAMES, strict=True)], ids=FILES)
def test_imports_no_private_module_of_another_package(file: str, module: str) -> None:
    private = {name for name in map(private_part, imported(file, module)) if name and room(name) != room(module)}
    assert not private, f"{file} imports {', '.join(sorted(private))}: export the name from its package"


def private_imports_of_tests() -> dict[str, set[str]]:
    """What tests import, or name in a string, that begins with an underscore; each with the files that do."""
    users: dict[str, set[str]] = {}
    for path in sorted({*TESTS.glob("*.py")} - {Path(__file__)}):
        module = parsed(path)
        strings = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)]
        names = [*imports_of(module, "tests"), *(text for text in strings if isinstance(text, str))]
        for name in filter(None, map(private_part, names)):
            users.setdefault(name, set()).add(path.name)
    return users


def test_tests_import_few_private_modules() -> None:
    users = private_imports_of_tests()
    for name, reason in PRIVATE_IMPORTS.items():
        sys.stdout.write(f"{name}: {reason}\n")  # pytest -rP shows it
    unlisted = {name: sorted(files) for name, files in users.items() if name not in PRIVATE_IMPORTS}
    assert not unlisted, "use a public name, or add the module to PRIVATE_IMPORTS with the reason"
    unused = set(PRIVATE_IMPORTS) - set(users)
    assert not unused, "no test imports these: remove them from PRIVATE_IMPORTS"


@pytest.mark.parametrize("file", FILES)
def test_english_is_plain(file: str) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            weak = WEAK_WORDS.search(node.value)
            assert not weak, f"{file}:{node.lineno} has the word {weak and weak.group()!r} in {node.value!r}"
        for name in defined_by(node):
            weak_parts = WEAK_NAMES & {name, *name.split("_")}
            assert not weak_parts, f"{file}:{getattr(node, 'lineno', 0)} defines {name!r}: say what it is or does"


def defined_by(node: ast.AST) -> list[str]:
    """The names of functions, classes and parameters that *node* itself defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    return [node.arg] if isinstance(node, ast.arg) else []


@pytest.mark.parametrize(("file", "module"), [*zip(FILES, NAMES, strict=True)], ids=FILES)
def test_torch_stays_in_its_rooms(file: str, module: str) -> None:
    heavy = {name.split(".")[0] for name in imported(file, module)} & TORCH
    assert not heavy or file.startswith(TORCH_ROOMS), f"{file} imports {', '.join(heavy)}"


@pytest.mark.parametrize("file", FILES)
def test_prints_only_in_the_command_line_and_swallows_nothing(file: str) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert file.startswith("cli/"), f"{file}:{node.lineno} prints"
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            empty = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            assert not (broad and empty), f"{file}:{node.lineno} swallows every error"


def test_no_room_without_a_purpose() -> None:
    unwanted = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "factory"}
    assert not [file for file in FILES if unwanted & {part.strip("_") for part in Path(file).with_suffix("").parts}]


@pytest.mark.parametrize("module", NAMES)
def test_says_what_it_exports(module: str) -> None:
    loaded = importlib.import_module(module)
    private = any(part.startswith("_") for part in module.split("."))
    assert private or "__all__" in vars(loaded)
    exported = getattr(loaded, "__all__", [])
    assert len(set(exported)) == len(exported)
    assert [name for name in exported if not hasattr(loaded, name)] == []


def test_exported_members() -> None:
    typed = {
        alias.asname or alias.name
        for block in tree("__init__.py").body
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


def test_names_are_what_they_say() -> None:
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
def test_starts_at_once(what: list[str], limit: float) -> None:
    """Twice the time that the design allows, for machines that do other things besides."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run([sys.executable, *what], env=environment, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[1:])
    sys.stdout.write(f"{what[1][:20]}… {median:.3f} s of {limit} s\n")  # pytest -rP shows it
    assert median < 2 * limit
