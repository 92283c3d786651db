"""The command that prints a guide, or the list of them: guide."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

__all__ = ["guide"]


def guide(
    topic: Annotated[
        str | None,
        typer.Argument(metavar="TOPIC", help="The guide to print; without it all topics are listed."),
    ] = None,
) -> None:
    """Print a guide, which is longer than a help text; without a topic, list the guides."""
    from ..guides import guide as read_guide, topics

    if topic is None:
        for name, title in topics().items():
            print(f"{name:12}  {title}")
        return
    text = read_guide(topic)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        print(text, end="")
