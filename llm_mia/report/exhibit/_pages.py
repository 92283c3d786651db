"""Pages of an exhibit: without scripts, with every value escaped, and forbidden to load anything."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._templates import policy_digest, templates

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page", "short_name"]

LONGEST_NAME = 60
TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, title: str, **values: object) -> bytes:
    """The bytes of a page of HTML: the file *template* with these *values*, each of which is escaped.

    The policy of the page allows its style, by its digest, and nothing else: no script runs, and nothing is loaded.
    """
    style = (TEMPLATES / "exhibit.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src '{policy_digest(style)}'; base-uri 'none'; form-action 'none'"
    text = _environment().get_template(template).render(title=title, style=_marked(style), policy=policy, **values)
    return (text.rstrip() + "\n").encode()


def short_name(name: str) -> str:
    """The last part of a path, shortened where even that is long; manifest.json has the whole name."""
    last = name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] if name.startswith(("/", ".", "~")) else name
    return last if len(last) <= LONGEST_NAME else f"{last[:LONGEST_NAME]}…"


@cache
def _environment() -> Environment:
    environment = templates(TEMPLATES)
    environment.filters.update(figure=figure, capitalized=capitalized, sentence=sentence)
    return environment


def _marked(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - a file of this package


def figure(value: float | None) -> str:
    """A figure as a page shows it; a dash where there is none.

    >>> figure(0.60437), figure(44.0), figure(0.00012345), figure(None)
    ('0.60', '44', '0.00012', '–')
    """
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def capitalized(text: str) -> str:
    """*text* with a capital letter at its start, and nothing else changed."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """*text* with a capital letter at its start, and a full stop at its end.

    >>> sentence("of 20 samples, 3 match"), sentence("It does.")
    ('Of 20 samples, 3 match.', 'It does.')
    """
    return capitalized(text) + ("" if text.endswith((".", "?", "!")) else ".")
