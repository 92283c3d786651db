"""The verdict of a gate as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ..gate import GateResult, GateRow, RowVerdict
from .words import ANSWERS, gate_answer, limit_words, measured_words, row_words, standing_sentence

__all__ = ["gate_junit"]

SUITE = "llm-mia gate"
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udfff]")
"""Characters that no XML may hold, however they are written."""


def gate_junit(result: GateResult) -> str:
    """JUnit XML: a test for the known set, and a test for each limit, which is skipped where it is not applicable.

    It follows the schema of Jenkins' xUnit plugin (junit-10.xsd), which GitLab and GitHub Actions read, too. It has no
    time, so the same result gives the same file, and it names no passage.
    """
    skipped = sum(row.verdict is RowVerdict.NOT_APPLICABLE for row in result.rows)
    counts = {
        "tests": str(1 + len(result.rows)),
        "failures": str(len(result.failed) + result.withheld),
        "errors": "0",
    }
    suites = ET.Element("testsuites", {"name": SUITE, **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": SUITE, **counts, "skipped": str(skipped)})
    case = _case(suite, "known set", "validity")
    if result.withheld:
        _add(case, "failure", gate_answer(result).headline, "known set")
    else:
        ET.SubElement(case, "system-out").text = _plain(f"{standing_sentence(result.standing)}.")
    for row in result.rows:
        _add_row(suite, row)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _add_row(suite: ET.Element, row: GateRow) -> None:
    case = _case(suite, limit_words(row), ANSWERS[row.quantity][0])
    if row.verdict is RowVerdict.FAILED:
        _add(case, "failure", row_words(row), row.quantity.value)
    elif row.verdict is RowVerdict.NOT_APPLICABLE:
        _add(case, "skipped", row_words(row), row.quantity.value)
    else:
        ET.SubElement(case, "system-out").text = _plain(measured_words(row))


def _case(suite: ET.Element, name: str, answers: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"name": _plain(name), "classname": f"{SUITE}: {answers}"})


def _add(case: ET.Element, kind: str, message: str, of: str) -> None:
    ET.SubElement(case, kind, {"message": _plain(message), "type": of})


def _plain(text: str) -> str:
    """*text* without the characters that XML cannot hold; a model's name or an error may have some."""
    return NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
