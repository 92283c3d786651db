"""What is wrong with values that were typed: seen before a text is read, a model is loaded, or torch is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ..distributed import is_url
from ..errors import InputError, LlmMiaError, PassageError, RunDirectoryError, UsageError
from ._clusters import refuse_with_cluster
from ._columns import INPUTS, refuse_columns
from ._models import STAND_IN_WORDS
from .progress import working

__all__ = ["faults_of", "refuse_file_of_run", "refuse_without_audit"]

RUNS = (
    *("audit", "score", "extract", "demo", "exhibit", "defend", "gate", "shadow", "monitor", "paired"),
    *("canary make", "canary plan", "canary test"),
)
"""Commands whose output is a folder."""
SCORING = ("audit", "score", "gate")
"""Commands whose attacks are names of attacks; those of other commands are columns of a table."""
RATES = ("fpr", "fdr", "confidence", "level", "finding_level", "false_alarms")
FILES = ("calibration", "run", "frequencies", "protocol", "limits", "baseline", "registry", "mapping")
FILES_OF_RUN = (
    "run.json",
    "scores.parquet",
    "validity.json",
    "audit.json",
    "extraction.json",
    "gate.json",
    "canary.json",
    "paired.json",
    "decisions.jsonl",
    "protocol.toml",
)
FILES_OF_AUDIT = ("calibration.json", "flags.csv", "flags.parquet", "texts.parquet", "report.html")
COLUMNS = ("text_column", "id_column", "label_column", "document_column")


def faults_of(command: str, values: Mapping[str, Any]) -> list[LlmMiaError]:
    """Everything that is wrong with the *values* of the parameters of *command*.

    The hub and torch are asked about models and devices only where nothing else is wrong: they take seconds.
    """
    faults = [fault for check in _checks(command, values) if (fault := _fault(check)) is not None]
    if faults or (values.get("on") or "ray") != "ray":  # a cluster has other models and devices than this machine
        return faults
    with working("checking the models", quiet=bool(values.get("quiet"))):
        slow = (*_model_checks(values, ask_hub=True), *_presence_checks(values))
        return [fault for check in slow if (fault := _fault(check)) is not None]


Check = Callable[[], object]


def _fault(check: Check) -> LlmMiaError | None:
    try:
        check()
    except LlmMiaError as error:
        return error
    return None


def _checks(command: str, values: Mapping[str, Any]) -> Iterator[Check]:
    given = {name: value for name, value in values.items() if value is not None}
    for name in filter(given.__contains__, RATES):
        yield partial(_check_rate, name, given[name])
    if "seed" in given:
        yield partial(_check_seed, given["seed"])
    inputs = [name for name in (*INPUTS, "corpus") if name in given]
    if command == "score":
        yield partial(refuse_with_cluster, given)
    for name in inputs:
        if not (command == "score" and is_url(given[name])):
            yield partial(_check_input, given[name])
    for name in filter(given.__contains__, FILES):
        yield partial(_check_file, given[name])
    if "table" in given:
        yield partial(_check_table, given["table"])
    for name in COLUMNS:
        if isinstance(given.get(name), list):
            yield partial(refuse_columns, name, given[name], inputs)
    if command in SCORING:
        for attack in given.get("attacks") or ():
            yield partial(_check_attack, attack, any_choice=command == "audit")
    if "out" in given and command in RUNS:
        yield partial(_check_folder, given["out"])
    elif "out" in given and not (command == "report" and _is_page(given)):
        yield partial(_check_page if command == "report" else _check_out, given["out"], "out")
    if "junit" in given:
        yield partial(_check_out, given["junit"], "junit")
        yield partial(_refuse_result, given["junit"], given["out"])
    if "per_token" in given:
        yield partial(_check_out, given["per_token"], "per_token")
        yield partial(_refuse_same_file, given["per_token"], given["out"])
    if "fdr" in given:
        yield partial(_check_rates, given.get("fpr"), given["fdr"], given.get("confidence"))
    yield from _device_checks(given)
    yield from _model_checks(given, ask_hub=False)


def _check_rate(name: str, rate: float) -> None:
    if not 0 < rate < 1:  # or nothing heavy is imported
        from ..calibration import check_rate

        check_rate(name, rate)


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise UsageError(f"`seed` is {seed}: it must be at least 0")


def _check_rates(fpr: float | None, fdr: float, confidence: float | None) -> None:
    if fpr is not None or confidence is not None:
        from ..auditing import refuse_rates

        refuse_rates(fpr, fdr, confidence)


def _check_input(source: str) -> None:
    from ..backends.checking import similar_path

    path = Path(source)
    if source == "-" or source.startswith("hf://") or path.exists():
        return
    near = similar_path(path)
    raise PassageError(source, "no such file or folder" + (f"; did you mean {near!r}?" if near else ""))


def _check_file(path: Path) -> None:
    from ..backends.checking import similar_path

    near = None if path.exists() else similar_path(path)
    if near is not None:  # else the reader of such files explains what it needs
        raise InputError(f"{path}: no such file or folder; did you mean {near!r}?")


def _check_table(path: Path) -> None:
    _check_file(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder: name a run directory or a table of scores")


def _check_attack(attack: str, *, any_choice: bool) -> None:
    from ..attacks import parse_attack

    if attack != "all" and not (any_choice and attack in ("auto", "stack")):
        parse_attack(attack)


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise RunDirectoryError(f"{out}: is a file, and the results need a folder: name another with `out`")
    _check_writable(out if out.exists() else out.parent, out, "out")


def _check_out(out: Path, parameter: str) -> None:
    if out.is_dir():
        raise UsageError(f"{out}: is a folder: name a file in it with `{parameter}`")
    if out.exists() and not out.is_file():  # a device or a pipe would be replaced by a file
        raise UsageError(
            f"{out}: is not an ordinary file, and would be replaced by one: name another file with `{parameter}`"
        )
    _check_writable(out.parent, out, parameter)
    refuse_file_of_run(out, parameter)


def _is_page(given: Mapping[str, Any]) -> bool:
    """Whether `out` is the page of the single run of which the page is written: that is what it is without `out`."""
    page: Path = given["run"] / "report.html"
    return "other" not in given and given["out"].resolve() == page.resolve()


def _check_page(out: Path, parameter: str) -> None:
    """Refuse to put a page in the place of something else, such as the texts."""
    _check_out(out, parameter)
    if not out.is_file() or not os.access(out, os.R_OK):
        return
    with out.open("rb") as file:
        if file.read(15).lower() not in (b"", b"<!doctype html>"):
            raise UsageError(f"{out}: is no page, and would be replaced by one: name another file with `{parameter}`")


def refuse_without_audit(run: Path) -> None:
    """Raise `RunDirectoryError` where *run* is no folder with a finished audit."""
    if not run.is_dir():
        raise RunDirectoryError(f"{run}: is a file, and no folder" if run.exists() else f"{run}: no such folder")
    if not (run / "audit.json").is_file():
        kept = ", and give this folder as `extraction`" if (run / "extraction.json").is_file() else ""
        raise RunDirectoryError(
            f"{run}: holds no audit.json, so no audit was finished in it: name the folder of a finished run of "
            f"'llm-mia audit'{kept}"
        )


def refuse_file_of_run(out: Path, parameter: str = "out") -> None:
    """Raise `UsageError` where *out* is a file that belongs to a run or an audit in its folder, or to its signals."""
    for folder in out.absolute().parents:
        if folder.name == "signals" and (folder.parent / "run.json").is_file():
            raise UsageError(f"{out}: is among the signals of a run: name another file with `{parameter}`")
    run = (out.parent / "run.json").is_file()
    audited = run and (out.parent / "audit.json").is_file()
    if (run and out.name in FILES_OF_RUN) or (audited and out.name in FILES_OF_AUDIT):
        kind = "audit" if audited else "run"
        raise UsageError(
            f"{out}: belongs to the {kind} in this folder, and has to agree with it: name another file "
            f"with `{parameter}`"
        )


def _refuse_same_file(per_token: Path, out: Path) -> None:
    if per_token.resolve() == out.resolve():
        raise UsageError(f"{out}: `out` and `per_token` are the same file: name two files")


def _refuse_result(junit: Path, out: Path) -> None:
    """Raise `UsageError` where *junit* would replace a result in the folder *out*, which may not be there yet."""
    if junit.resolve().parent == out.resolve() and junit.name in {*FILES_OF_RUN, *FILES_OF_AUDIT, "spans.csv"}:
        raise UsageError(f"{junit}: `junit` would replace a result of this command in {out}: name another file")


def _check_writable(folder: Path, out: Path, parameter: str) -> None:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise RunDirectoryError(
            f"{out}: cannot be written, because {existing} is a file: name another place with `{parameter}`"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunDirectoryError(
            f"{out}: cannot be written, because you may not write to {existing}: name another place with `{parameter}`"
        )
    try:  # a folder such as /proc takes no file, whatever its permissions
        TemporaryFile(dir=existing).close()
    except OSError as error:
        raise RunDirectoryError(
            f"{out}: cannot be written, because {existing} takes no file ({error.strerror}): name another place with "
            f"`{parameter}`"
        ) from None


def _device_checks(given: Mapping[str, Any]) -> Iterator[Check]:
    from ..backends.checking import check_device, check_dtype

    if "device" in given:
        yield partial(check_device, given["device"])
    if "dtype" in given:
        yield partial(check_dtype, given["dtype"])


def _model_checks(values: Mapping[str, Any], *, ask_hub: bool) -> Iterator[Check]:
    from ..backends import checking

    roles = (
        ("target", "revision"),
        ("base", "revision"),
        ("model", ""),
        ("reference", "reference_revision"),
        ("stand_in", ""),
        ("placebo", ""),
        ("neighbour_model", ""),
    )
    for role, revision in roles:
        names, revisions = _each(values.get(role)), _each(values.get(revision))
        for name, of_name in zip_longest(names, revisions[: len(names)]):
            if role == "stand_in" and name in STAND_IN_WORDS:
                continue
            causal = role != "neighbour_model"
            check = partial(checking.check_model, name, of_name, causal=causal, ask_hub=ask_hub)
            yield partial(_named_revision, check, revision)


def _each(value: str | Sequence[str] | None) -> list[str]:
    """The values of an option, of which some commands take several."""
    return [value] if isinstance(value, str) else list(value or ())


def _named_revision(check: Check, revision: str) -> None:
    """Run *check* of a model whose revision is the parameter *revision*, and name that in its errors."""
    try:
        check()
    except LlmMiaError as error:
        error.args = tuple(str(argument).replace("`revision`", f"`{revision}`") for argument in error.args)
        raise


def _presence_checks(values: Mapping[str, Any]) -> Iterator[Check]:
    if values.get("device") not in (None, "auto", "cpu"):
        yield partial(_check_present, values["device"])


def _check_present(device: str) -> None:
    from ..backends.local import resolve_device

    resolve_device(device)
