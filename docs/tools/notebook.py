"""What is made of docs/notebook.md: the Jupyter notebook, and its pictures of a recorded day.

    python -m docs.tools.notebook > docs/notebook.ipynb
    python -m docs.tools.notebook DIRECTORY         # runs the page there, where the exported tables lie

The pictures go into docs/images, with 128 colours, more than such plots have to the eye.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "notebook.md"
FENCE = re.compile(r"^```(python|sh)\n(.*?)^```$", re.M | re.S)


def script() -> str:
    """The page's Python, top to bottom."""
    return "\n\n".join(text for language, text in FENCE.findall(PAGE.read_text("utf-8")) if language == "python")


def notebook() -> str:
    """The page as a notebook of version 4.5; a command of the shell is a cell with `!` before it."""
    document = {
        "cells": [{"id": f"cell-{n}", "metadata": {}, **cell} for n, cell in enumerate(_cells())],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cells() -> Iterator[dict[str, Any]]:
    text = PAGE.read_text("utf-8")
    # Words, then language and text of a block, and so on; the last are words.
    parts = FENCE.split(text)
    for words, language, code in zip(parts[0::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        if words.strip():
            yield {"cell_type": "markdown", "source": _lines(words.strip())}
        if code:
            shell = "".join(f"!{line}\n" for line in code.splitlines())
            source = _lines((shell if language == "sh" else code).strip())
            yield {"cell_type": "code", "execution_count": None, "outputs": [], "source": source}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def draw(place: Path) -> None:
    """Run the page in `place` and take over the pictures that it names."""
    import matplotlib
    from PIL import Image

    matplotlib.use("Agg")
    os.chdir(place)
    exec(compile(script(), str(PAGE), "exec"), {})
    for name in re.findall(r"\]\(images/([\w-]+\.png)\)", PAGE.read_text("utf-8")):
        Image.open(name).convert("RGB").quantize(128).save(DOCS / "images" / name, optimize=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        draw(Path(sys.argv[1]))
    else:
        sys.stdout.write(notebook())
