"""Packages built by their own backend and unpacked, as pip does it, which starts four interpreters for each.

`python -m tests.wheels SITE SOURCE …`. Building writes into the source tree: give it copies.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from multiprocessing import Process
from pathlib import Path

from setuptools import build_meta


def install(site: Path, source: Path) -> None:
    os.chdir(source)
    with tempfile.TemporaryDirectory() as place:
        name = build_meta.build_wheel(place)
        with zipfile.ZipFile(Path(place, name)) as wheel:
            wheel.extractall(site)


if __name__ == "__main__":
    site, *sources = map(Path, sys.argv[1:])
    for source in sources:
        # The backend remembers a package: the next one of the same process would have its modules.
        process = Process(target=install, args=(site, source))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{source} cannot be built")
