"""A display as SVG and PNG: text stays text, colours become CSS variables, and equal input gives equal bytes."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

from ._display import Display, Figure, new_axes
from ._style import LIGHT, drawable

__all__ = ["figure_of", "png_of", "svg_of"]

SVG, LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
DOTS_PER_INCH = 300
NUMBER = re.compile(r"-?\d+\.\d+")
FONT_SIZE = re.compile(r"([\d.]+)px")
DROPPED = {"metadata", "style"}
"""Elements of matplotlib: a date, and rules that would hold for every other figure of the page."""
FONTS = "system-ui, 'DejaVu Sans', Verdana, sans-serif"


def figure_of(display: Display) -> Figure:
    """The figure for the report page; without an SVG where *display* cannot be drawn."""
    svg = svg_of(display, variables=True) if display.height else ""
    return Figure(display.name, display.title, display.description, svg, display.table)


def png_of(display: Display) -> bytes:
    """The drawing as a PNG of 300 dots per inch, with its title, in the colours for light paper."""
    return _drawn(display, "png", titled=True)


def svg_of(display: Display, *, variables: bool) -> str:
    """The drawing as an element ``<svg>``, with the title and the description of *display*.

    It scales with the page: it has a viewBox and no size. No style attribute and no style sheet is in it, so a
    content-security policy may forbid both; ids begin with the name of the display, so several fit on a page.

    Args:
        display: what to draw.
        variables: colours are CSS variables, such as ``var(--member)``; otherwise those for light paper, and the title
            is written above the drawing.
    """
    root = ElementTree.fromstring(_drawn(display, "svg", titled=not variables))  # noqa: S314 - matplotlib wrote it
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.removeprefix(f"{{{SVG}}}") in DROPPED]:
            parent.remove(child)
    used = {name for element in root.iter() for name in _names_used(element)}
    for element in root.iter():
        _plain(element, display.name, used)
    _flatten(root)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    head = f"{display.name}-title", f"{display.name}-description"
    root.attrib.update({"role": "img", "aria-labelledby": " ".join(head), "stroke-linejoin": "round"})
    root.set("font-family", FONTS)
    for position, (tag, name, text) in enumerate(
        (("title", head[0], display.title), ("desc", head[1], display.description))
    ):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": name})
        element.text = drawable(text)
        root.insert(position, element)
    ElementTree.register_namespace("", SVG)
    text = ElementTree.tostring(root, encoding="unicode")
    if variables:
        for name, colour in LIGHT.items():
            text = text.replace(f'"{colour}"', f'"var(--{name})"')
    return text


def _drawn(display: Display, kind: str, *, titled: bool) -> bytes:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with new_axes(display.height or 1.5) as axes:
        canvas = axes.figure
        assert isinstance(canvas, Canvas)
        display.draw(axes)
        if titled:
            canvas.suptitle(display.title, fontsize=10)
        drawing = io.BytesIO()
        # No date and no name of the program: the same figure is the same bytes tomorrow.
        if kind == "png":
            canvas.savefig(drawing, format=kind, dpi=DOTS_PER_INCH, metadata={"Software": None})
        else:
            canvas.patch.set_visible(titled)
            # `savefig` would draw twice.
            printer: Any = FigureCanvasSVG(canvas)  # without types
            printer.print_svg(drawing, metadata={"Date": None, "Creator": None})
    return drawing.getvalue()


def _names_used(element: ElementTree.Element) -> set[str]:
    """The ids that an element refers to."""
    text = " ".join(element.attrib.values())
    return set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r"^#(\S+)$", element.get(LINK, "")))


def _plain(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Styles as attributes, ids with the *prefix* and only where they are *used*, numbers with two decimals."""
    name = element.attrib.pop("id", None)
    if name in used:
        element.set("id", f"{prefix}-{name}")
    target = element.attrib.pop(LINK, None)
    if target is not None:
        element.set("href", f"#{prefix}-{target[1:]}")
    for declaration in filter(None, map(str.strip, element.attrib.pop("style", "").split(";"))):
        key, value = (part.strip() for part in declaration.split(":", 1))
        if key == "font":
            size = FONT_SIZE.search(value)
            assert size is not None, value
            element.set("font-size", size.group(1))
        elif key != "font-family":
            element.set(key, value)
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{prefix}-"))
        elif key not in {"id", "href"} and not value.startswith("#"):
            element.set(key, NUMBER.sub(lambda match: f"{float(match.group()):.2f}".rstrip("0").rstrip("."), value))
    if element.text and not element.text.strip():
        element.text = None
    if element.tail and not element.tail.strip():
        element.tail = None


def _flatten(element: ElementTree.Element) -> None:
    """Replace groups that say nothing about what they hold by what they hold."""
    for child in list(element):
        _flatten(child)
        if child.tag == f"{{{SVG}}}g" and not child.attrib:
            position = list(element).index(child)
            element.remove(child)
            for offset, inner in enumerate(list(child)):
                element.insert(position + offset, inner)
        elif child.tag == f"{{{SVG}}}defs" and not len(child):
            element.remove(child)
