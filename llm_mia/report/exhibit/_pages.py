"""Pages of an exhibit: without scripts, with every value escaped, and forbidden to load anything."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page"]

TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, title: str, **values: object) -> bytes:
    """The bytes of a page of HTML: the file *template* with these *values*, each of which is escaped.

    The policy of the page allows its style, by its digest, and nothing else: no script runs, and nothing is loaded.
    """
    style = (TEMPLATES / "exhibit.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    text = _environment().get_template(template).render(title=title, style=_marked(style), policy=policy, **values)
    return (text.rstrip() + "\n").encode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    return environment


def _marked(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - a file of this package


def figure(value: float | None) -> str:
    """A figure as a page shows it; a dash where there is none.

    >>> figure(0.60437), figure(44.0), figure(0.00012345), figure(None)
    ('0.604', '44', '0.000123', '–')
    """
    return "–" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
