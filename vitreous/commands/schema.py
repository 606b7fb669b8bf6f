"""``vitreous schema``."""

from __future__ import annotations

from typing import Annotated

import typer


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="configuration, record or report.")],
) -> None:
    """Print the JSON Schema of an accelerator file, of recorded.json or of report.json.

    \b
    Examples:
      vitreous schema configuration > accelerator.schema.json
    """
    from vitreous.reference import schemas

    print(schemas.committed(name), end="")
