"""Where the project lies and which files are ours, for tests that read its files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DOCS = ROOT / "docs"

# In the order of the table in README.md.
ROOMS = ("spec", "golden", "quant", "compiler", "hw", "sim", "reports", "models")
SOURCE_FOLDERS = (*ROOMS, "vitreous", "campaigns", "tests", "benchmarks", "examples")


def under_link(path: Path) -> bool:
    """Whether ``path`` is reached over a link (vitreous/hw/... is hw/...)."""
    return any(parent.is_symlink() for parent in path.parents if ROOT in parent.parents)


def source_files(folder: str, *patterns: str) -> list[Path]:
    """The files of one top-level folder that match one of ``patterns``, links to other folders left out."""
    found = {path for pattern in patterns for path in (ROOT / folder).rglob(pattern)}
    return sorted(path for path in found if not under_link(path))


def python_files(folder: str) -> list[Path]:
    """The Python files of one top-level folder, links to other folders left out."""
    return source_files(folder, "*.py")


def module_name(path: Path) -> str:
    """The dotted name under which ``path`` is imported: ``hw/matrix/array.py`` is ``vitreous.hw.matrix.array``."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(["vitreous", *parts] if parts[0] in ROOMS else parts)


def all_modules() -> dict[str, Path]:
    """Every Python module of ours by its dotted name."""
    return {module_name(path): path for folder in SOURCE_FOLDERS for path in python_files(folder)}


def documents() -> list[Path]:
    """The pages that people read: those at the root and docs/."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
