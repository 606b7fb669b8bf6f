"""Print the ends of pyproject.toml's range of torch, oldest and newest minor version, one a line."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
(wish,) = (wish for wish in project["dependencies"] if re.match(r"torch\b", wish))
low, high = (int(number) for number in re.fullmatch(r"torch>=2\.(\d+),<2\.(\d+)", wish).groups())
print(f"2.{low}", f"2.{high - 1}", sep="\n")
