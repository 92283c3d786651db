"""Whatever a command prints with ``--json`` is what its schema describes: no key more, and none less."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llm_mia import extract, read_audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.canary import run_canary_test
from llm_mia.cli import main
from llm_mia.demo import Demo, demo_summary
from llm_mia.errors import UsageError
from llm_mia.gate import Limits, gate
from llm_mia.guard import Served
from llm_mia.records import Interval
from llm_mia.report import defenses_summary, extraction_summary, guard_summary, plan_summary, shadows_summary
from llm_mia.report.schemas import schema, schemas
from llm_mia.shadow import ShadowRecord, Shadows, ShadowsPlan, ShadowsRecord
from llm_mia.training import Privacy, Recipe

from . import monitored_logs as logs
from .canary_folders import a_plan, rephrased, seal
from .conftest import pretend, sentences, spans_of_bytes
from .test_defend_measuring import BASELINE, table

Printed = Mapping[str, list[Any]]


class Reader(FakeBackend):
    """A model that is also its tokenizer."""

    fingerprint, vocabulary = FakeBackend(0).info.tokenizer, 257

    def spans(self, text: str) -> Any:
        return spans_of_bytes(text)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Printed]:
    """By name of the schema: what commands print."""
    folder = tmp_path_factory.mktemp("schemas")
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch, Reader)
        patch.setattr("llm_mia.backends.ModelSpec.tokenizer", lambda _: Reader(0))
        yield print_all(folder)


def print_all(folder: Path) -> Printed:
    results: dict[str, list[Any]] = {name: [] for name in schemas()}

    def run(name: str, *arguments: object) -> None:
        with redirect_stdout(io.StringIO()) as out:
            assert main([*map(str, arguments), "--json"]) in (0, 4), arguments  # 4: the known set is void
        results[name].append(json.loads(out.getvalue(), parse_constant=pytest.fail))

    texts = list(dict.fromkeys(sentences(200, seed=2)))
    sets = {"members": texts[:30], "nonmembers": texts[30:110], "in": texts[110:150], "sealed": texts[150:180]}
    for name, of_set in sets.items():
        places = [{"document": f"{name}-{at // 2}", "genre": "ab"[at % 2]} for at in range(len(of_set))]
        rows = [{"text": text, **place} for text, place in zip(of_set, places, strict=True)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    inputs = [folder / "in.jsonl", "--nonmembers", folder / "nonmembers.jsonl", "--members", folder / "members.jsonl"]
    known, audited, models = inputs[1:], folder / "run", ["-m", "m", "-r", "mm"]
    command = ["audit", *inputs, *models, "-a", "min_k", "-a", "loss", "--control", folder / "sealed.jsonl"]
    run("audit", *command, "-o", audited)
    run("audit", "show", audited)
    run("decisions", "show", audited, "--decisions")
    run("validate", "validate", *known, "--candidates", inputs[0])
    run("calibrate", "calibrate", audited, "-a", "loss", "-o", folder / "c.json")
    run("calibrate", "calibrate", audited, "-a", "auto", "-o", folder / "auto.json")
    run("calibrate", "calibrate", audited, "-a", "loss", "--by", "genre", "-o", folder / "by.json")
    for rule, *options in (["c"], ["c", "--documents"], ["c", "--fdr", 0.2], ["by"]):
        run("flag", "flag", audited, "-c", folder / f"{rule}.json", *options, "-o", folder / "f.csv")
    run("collection", "collection", audited)
    run("evaluate", "evaluate", audited)
    run("evaluate", "evaluate", audited, "--compare", "loss", "min_k", "-c", folder / "c.json", "--randomised")
    run("dry-run", "score", inputs[0], *models, "-o", folder / "scored", "--dry-run")
    run("score", "score", inputs[0], *models, "-o", folder / "scored")
    run("dry-run", "score", inputs[0], *models, "-o", folder / "scored", "--dry-run")
    run("perplexity", "perplexity", inputs[0], *models, "-o", folder / "p.csv")
    run("frequencies", "frequencies", inputs[0], "-m", "m", "-o", folder / "f.parquet")
    for options in ([], ["min_k"], ["stack"]):
        run("attacks", "attacks", *options)
    extract(folder / "in.jsonl", Reader(0), out=folder / "extract", stretch=5, probability=1e-12)
    run("extract", "show", folder / "extract")
    for name, limit in (("loose", 1.0), ("usual", 0.6)):
        gate(
            Reader(0),
            members=folder / "members.jsonl",
            nonmembers=folder / "nonmembers.jsonl",
            reference=Reader(1),
            attacks=["min_k", "loss"],
            limits=Limits(max_auroc=limit),
            out=folder / "gate" / name,
        )
        run("gate", "show", folder / "gate" / name)
    other = folder / "other"
    run("audit", "audit", *inputs, "-m", "mmmm", "-r", "mm", "-a", "min_k", "-o", other)
    run("report", "report", audited, other)
    run("exhibit", "exhibit", audited, "-o", folder / "exhibit")
    run("verification", "exhibit", "--verify", folder / "exhibit")
    benign, log = (
        logs.write_log(folder / f"{name}.log", logs.benign_queries(60, seed)) for seed, name in enumerate(("b", "l"))
    )
    watched = ["monitor", log, "--benign", benign, "--false-alarms", 0.1, "-o", folder / "watched"]
    run("monitor", *watched)
    run("inspection", "monitor", log, "--inspect")
    run("registry", "registry", folder / "in.jsonl", "-o", folder / "registry.json")
    rows = [{"document": f"in-{at // 2}", "text": f"{text} Again."} for at, text in enumerate(sets["in"])]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    supplied = ["--kind", "rephrase", "--from", folder / "more.jsonl"]
    run("canary-make", "canary", "make", folder / "in.jsonl", *supplied, "--beacon-source", "x", "-o", folder / "dir")
    run("canary-make", "canary", "draw", folder / "dir", "--beacon", "x")
    run("canary-verify", "canary", "verify", folder / "dir")
    run("paired", "paired", write_pairs(folder / "pairs.jsonl", texts[:40]), *models, "-o", folder / "paired")
    run("paired", "show", folder / "paired")
    tested = run_canary_test(seal(folder / "canaries", rephrased(8, 3)), Reader(0), Reader(1), out=folder / "tested")
    run("canary-test", "show", tested.path)
    results["canary-plan"].append(json.loads(json.dumps(plan_summary(a_plan(folder / "planned")))))
    audit = read_audit(audited)
    rate = audit.evaluations[0].auroc
    truth = {row.id: True for row in audit.flags.rows}
    results["defend"].append(json.loads(json.dumps(defenses_summary(table(BASELINE)))))
    results["demo"].append(json.loads(json.dumps(demo_summary(Demo(audit, truth, rate, rate, 1.5, 10)))))
    served = Served({200: 5, 499: 1}, 6, 0)
    results["guard"] += [json.loads(json.dumps(guard_summary(served, log))) for log in (None, folder / "log")]
    results["shadow"].append(json.loads(json.dumps(shadows_summary(a_set_of_shadows(folder)))))
    return results


def write_pairs(file: Path, texts: Sequence[str]) -> Path:
    """A file of pairs, two for each document."""
    pairs = [
        {"document": f"book {at // 2}", "published": published, "withheld": withheld}
        for at, (published, withheld) in enumerate(zip(texts[::2], texts[1::2], strict=True))
    ]
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return file


def a_set_of_shadows(folder: Path) -> Shadows:
    """Shadow models of which one has no interval, because no spread could be measured."""
    recipe = Recipe(privacy=Privacy(8.0))
    plan = ShadowsPlan("base", None, None, recipe, 0, "pool", "ab", 4, 100, 0, {"a": "01", "b": "10"})
    gaps = Interval(0.5, 0.25, 0.75), Interval(0.5, -math.inf, math.inf)
    each = [ShadowRecord(role, 1, 2, 30, 0, 2.0, 2.5, gap, 0.5) for role, gap in zip(plan.roles, gaps, strict=True)]
    return Shadows(folder, ShadowsRecord(plan, tuple(each), gaps[0], 0.125, math.nan, 1, "float32"))


@pytest.mark.parametrize("name", sorted(schemas()))
def test_what_is_printed_is_what_the_schema_describes(name: str, printed: Printed) -> None:
    described = json.loads(schema(name))
    jsonschema.Draft202012Validator.check_schema(described)
    validator = jsonschema.Draft202012Validator(described)
    assert printed[name]
    for result in printed[name]:
        validator.validate(result)
        for damaged in damages(result, described, described):
            assert not validator.is_valid(damaged), "a missing or an unknown key was planted"


def damages(value: Any, described: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> Iterator[Any]:
    """*value* with a key too many, and with each key that it must have removed; in objects within it, too."""
    while "$ref" in described:
        described = root["$defs"][described["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict) or "properties" not in described:
        return
    assert described["additionalProperties"] is False
    yield {**value, "a key that no schema has": 1}
    for name in described["required"]:
        yield {key: entry for key, entry in value.items() if key != name}
    for name, entry in value.items():
        for damaged in damages(entry, described["properties"][name], root, depth + 1):
            yield {**value, name: damaged}


def test_every_object_is_closed_and_every_property_has_its_type() -> None:
    def check(described: Any) -> None:
        if isinstance(described, dict):
            if "properties" in described and described.get("type") == "object":
                assert described["additionalProperties"] is False
            for entry in described.values():
                check(entry)
        elif isinstance(described, list):
            for entry in described:
                check(entry)

    for name in schemas():
        check(json.loads(schema(name)))


def test_a_schema_is_printed_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "audit"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "What --json prints: audit, and show of an audit"
    assert main(["schema"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(schemas())
    with pytest.raises(UsageError, match="did you mean 'audit'"):
        schema("audits")


def test_numbers_without_bound_are_null_in_an_extraction(tmp_path: Path) -> None:
    """A stretch of probability 0 (below the smallest float) takes more queries than a float can hold."""
    texts = [" ".join(sentences(20, seed=1))]
    extraction = extract(texts, Reader(0), out=tmp_path / "run", stretch=200, probability=1e-300)
    printed = json.dumps(extraction_summary(extraction), allow_nan=False)
    assert '"Infinity"' not in printed
    assert json.loads(printed)["documents"][0]["likeliest"]["expected_queries"] is None
    jsonschema.validate(json.loads(printed), json.loads(schema("extract")))
