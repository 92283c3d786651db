"""The command that prints the JSON Schema of what another command prints with --json: schema."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["schema"]


def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The schema to print; without it all schemas are listed."),
    ] = None,
) -> None:
    """Print the JSON Schema of the JSON that a command prints; without a name, list the schemas."""
    from ..report.schemas import schema as read_schema, schemas

    if name is None:
        for each, title in schemas().items():
            print(f"{each:12}  {title}")
    else:
        print(read_schema(name), end="")
