"""``python -m vitreous.reference``: write every page and schema that is made from the source. `make docs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vitreous.reference import configuration, operators, schemas
from vitreous.spec.storage import write_text

DOCS = Path(__file__).absolute().parent.parent.parent / "docs"


def texts() -> Mapping[Path, str]:
    """What is made, by the file that holds it. Needs pydantic."""
    return {
        DOCS / "configuration.md": configuration.page(),
        DOCS / "operators.md": operators.page(),
        **{schemas.path(name): schemas.text(name) for name in schemas.DOCUMENTS},
    }


def main() -> None:
    """Write what has changed, one line for each file."""
    for path, text in texts().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(write_text(path, text))


if __name__ == "__main__":
    main()
