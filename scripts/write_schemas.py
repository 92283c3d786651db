"""Write the JSON Schemas of what `--json` prints: `llm_mia/report/schemas/*.json`, from the types of the records.

.venv/bin/python scripts/write_schemas.py

`tests/test_schemas.py` compares the schemas with what the commands print.
"""

from __future__ import annotations

import json
import sys

from schema_canary import canary_plan, canary_test, paired
from schema_decisions import audit, calibration, collection, decisions, demo, evaluate, flags, validate
from schema_defenses import defend
from schema_gate import gate
from schema_monitor import inspection, monitor, registry
from schema_other_results import (
    attacks,
    dry_run,
    exhibit,
    extract,
    frequencies,
    guard,
    perplexity,
    score,
    shadow,
    verification,
)
from schema_sealing import sealing, verified
from schema_two_runs import report
from schema_types import Definitions, Schema, closed

from llm_mia.report.schemas import FOLDER

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS = {
    "audit": (audit, "audit, and show of an audit"),
    "validate": (validate, "validate"),
    "score": (score, "score"),
    "calibrate": (calibration, "calibrate"),
    "flag": (flags, "flag"),
    "collection": (collection, "collection"),
    "evaluate": (evaluate, "evaluate"),
    "extract": (extract, "extract, and show of an extraction"),
    "defend": (defend, "defend"),
    "shadow": (shadow, "shadow"),
    "decisions": (decisions, "show --decisions"),
    "perplexity": (perplexity, "perplexity"),
    "frequencies": (frequencies, "frequencies"),
    "attacks": (attacks, "attacks"),
    "demo": (demo, "demo"),
    "dry-run": (dry_run, "audit, score, extract, gate and perplexity with --dry-run"),
    "exhibit": (exhibit, "exhibit"),
    "verification": (verification, "exhibit --verify"),
    "gate": (gate, "gate, and show of a gate"),
    "report": (report, "report of two runs"),
    "guard": (guard, "guard, when it is stopped"),
    "monitor": (monitor, "monitor"),
    "inspection": (inspection, "monitor --inspect"),
    "registry": (registry, "registry"),
    "canary-make": (sealing, "canary make and canary draw"),
    "canary-verify": (verified, "canary verify"),
    "canary-plan": (canary_plan, "canary plan, and show of such a plan"),
    "canary-test": (canary_test, "canary test, and show of such a test"),
    "paired": (paired, "paired, and show of such a test"),
}
"""By name of the schema: what describes it, and the command that prints it."""
OPTIONAL = ("comparison", "at_threshold")


def whole(name: str) -> Schema:
    """The schema *name*, complete."""
    describe, command = SCHEMAS[name]
    known = Definitions()
    schema: Schema = describe(known)
    if schema.get("type") != "object":
        schema = closed(schema, optional=OPTIONAL)
    schema.pop("description", None)
    about = f"What --json prints: {command}"
    return {"$schema": DRAFT, "$id": f"urn:llm-mia:{name}", "title": about, **schema, "$defs": known.schemas}


def main() -> None:
    """Write every schema."""
    for name in SCHEMAS:
        schema = json.dumps(whole(name), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(schema + "\n", encoding="utf-8")
        sys.stdout.write(f"{name}.json: {len(schema):,} characters\n")


if __name__ == "__main__":
    main()
