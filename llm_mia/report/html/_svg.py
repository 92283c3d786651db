"""Drawings without style attributes, so that the page may forbid these."""

from __future__ import annotations

import re

__all__ = ["without_styles"]

_STYLE = re.compile(r'\sstyle="([^"]*)"')
_SHEET = re.compile(r"<style\b.*?</style>", re.DOTALL)
_FONT = re.compile(
    r"(?:(?P<style>italic|oblique)\s+)?(?:(?P<weight>bold|\d{3})\s+)?(?P<size>[\d.]+(?:px|pt)?)(?:/\S+)?\s+(?P<family>.+)"
)


def without_styles(svg: str) -> str:
    """*svg* with each declaration of a style attribute as an attribute of its element, and without style sheets.

    CSS variables take effect in attributes, too. matplotlib's style sheet only sets how lines end and join, for the
    whole page, so the page's style sheet does that for drawings.

    >>> without_styles('<path style="fill: none; stroke: var(--ink)"/>')
    '<path fill="none" stroke="var(--ink)"/>'
    >>> without_styles('''<text style="font: bold 10px 'DejaVu Sans', sans-serif; text-anchor: end">a</text>''')
    '<text font-weight="bold" font-size="10px" text-anchor="end">a</text>'
    """
    return _STYLE.sub(lambda match: _attributes(match[1]), _SHEET.sub("", svg))


def _attributes(style: str) -> str:
    written = []
    for declaration in style.split(";"):
        name, colon, value = (part.strip() for part in declaration.partition(":"))
        if not colon or name == "font-family":  # the page has a font
            continue
        if name == "font" and (font := _FONT.fullmatch(value)):
            parts = {"font-style": font["style"], "font-weight": font["weight"], "font-size": font["size"]}
            written += [f'{key}="{part}"' for key, part in parts.items() if part]
        else:
            written.append(f'{name}="{value}"')
    return "".join(f" {attribute}" for attribute in written)
