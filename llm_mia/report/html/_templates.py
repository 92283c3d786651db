"""Templates in which every value is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from .._templates import templates

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(template: str, **values: object) -> Markup:
    """The *template* of this package with *values*; a name that nobody gave is an error."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - every value is escaped


@cache
def _environment() -> Environment:
    return templates(Path(__file__).parent / "templates")
