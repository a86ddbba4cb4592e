"""Python commands as processes of their own, for every test; quick ones where processes can be forked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.launch import Launcher


class Interpreters:
    """What `Launcher` does, by an interpreter from the start each time, where processes cannot be forked."""

    def start(self, *command: str | Path, cwd: Path, env: Mapping[str, str], stdio: Any) -> Any:
        files = dict(zip(("stdin", "stdout", "stderr"), stdio, strict=True))
        return subprocess.Popen([sys.executable, "-m", *map(str, command)], cwd=cwd, env=env, **files)

    def piped(self, *command: str | Path, cwd: Path, env: Mapping[str, str]) -> Any:
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        words = [sys.executable, "-m", *map(str, command)]
        return subprocess.Popen(words, cwd=cwd, env=env, text=True, encoding="utf-8", **pipes)

    def run(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str], stdin: str = "", timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", *map(str, command)]
        return subprocess.run(
            words, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=timeout
        )

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for what the worker processes of a session have in common."""
    place = tmp_path_factory.getbasetemp()
    return place.parent if "PYTEST_XDIST_WORKER" in os.environ else place


@pytest.fixture(scope="session")
def once(shared_place: Path) -> Callable[[str, Callable[[Path], object]], Path]:
    """`once(name, make)`: a directory that `make` filled, once for all worker processes of a session."""

    def directory(name: str, make: Callable[[Path], object]) -> Path:
        place, unfinished = shared_place / f"once-{name}", shared_place / f"unfinished-{name}"
        with FileLock(shared_place / f"{name}.lock"):
            if not place.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(place)
        return place

    return directory


@pytest.fixture(scope="session")
def launcher(shared_place: Path) -> Iterator[Launcher | Interpreters]:
    """`launcher.run("g6core", "run", cwd=…, env=…)`: a process that runs a module as `python -m` does."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    found = Launcher(shared_place / "launcher", owner) if sys.platform == "linux" else Interpreters()
    yield found
    found.close()
