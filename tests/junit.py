"""What the schema of Jenkins' xUnit plugin (junit-10.xsd) allows in JUnit XML, for tests: a table of its elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

__all__ = ["faults_of_junit"]

TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
"""The form of a time in `SUREFIRE_TIME`."""


@dataclass(frozen=True)
class Element:
    """What an element may hold."""

    children: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    text: bool = False
    times: frozenset[str] = field(default_factory=lambda: frozenset({"time"}))
    """Attributes of the form `TIME`."""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


OUTCOME = Element(optional=_words("type message"), text=True)
ELEMENTS = {
    "testsuites": Element(_words("testsuite"), frozenset(), _words("name time tests failures errors")),
    "testsuite": Element(
        _words("testsuite properties testcase system-out system-err"),
        _words("name tests failures errors"),
        _words("group time skipped timestamp hostname id package file log url"),
    ),
    "testcase": Element(
        _words("skipped error failure system-out system-err"),
        _words("name"),
        _words("time classname group"),
        times=frozenset(),  # here any text is a time
    ),
    "failure": OUTCOME,
    "error": OUTCOME,
    "skipped": OUTCOME,
    "system-out": Element(text=True),
    "system-err": Element(text=True),
}
"""By name, without properties and reruns, which no gate writes."""


def faults_of_junit(text: str) -> list[str]:
    """How *text* differs from the schema, and from its own counts, a phrase each; raises where it is no XML."""
    root = ET.fromstring(text)
    faults = [*_faults(root)]
    if root.tag not in ("testsuites", "testsuite"):
        faults.append(f"the root is {root.tag}")
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        kinds = {"tests": len(cases)} | {
            name: sum(case.find(kind) is not None for case in cases)
            for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        }
        faults += [f"{name} is {suite.get(name)}" for name, count in kinds.items() if suite.get(name) != str(count)]
    return faults


def _faults(element: ET.Element) -> Iterator[str]:
    allowed = ELEMENTS.get(element.tag)
    if allowed is None:
        yield f"{element.tag} is no element"
        return
    given = set(element.attrib)
    yield from (f"{element.tag} lacks {name}" for name in sorted(allowed.required - given))
    yield from (f"{element.tag} has {name}" for name in sorted(given - allowed.required - allowed.optional))
    yield from (f"{name} is no time" for name in given & allowed.times if not TIME.fullmatch(element.attrib[name]))
    if not allowed.text and ((element.text or "").strip() or any((child.tail or "").strip() for child in element)):
        yield f"{element.tag} holds text"
    for child in element:
        if child.tag not in allowed.children:
            yield f"{element.tag} holds {child.tag}"
        yield from _faults(child)
