"""Fixtures for the tests of the whole: foreign plugins, recorded data, and `g6` as a person runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.launch import Launcher

REPO = Path(__file__).resolve().parent.parent
FOREIGN = REPO / "tests" / "data"
KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are cores: many tests wait, for a cycle, a clock or a server."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def pip_install(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Callable[..., str]:
    """`pip_install(source, …)` builds and installs packages without the network: their directory for PYTHONPATH."""

    def install(*sources: Path) -> str:
        place = tmp_path_factory.mktemp("installed")
        build(launcher, place, *sources)
        return str(place / "site")

    return install


def build(launcher: Launcher, place: Path, *sources: Path) -> None:
    """Into `place`/site."""
    copies = [shutil.copytree(source, place / source.name) for source in sources]
    done = launcher.run("tests.wheels", place / "site", *copies, cwd=REPO, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def installed(once: Callable[..., Path], launcher: Launcher) -> Callable[..., list[str]]:
    """`installed("toy_plugin", …)` installs packages of tests/data, each once a session: directories for PYTHONPATH."""

    def install(*names: str) -> list[str]:
        return [
            str(once(name, lambda place, name=name: build(launcher, place, FOREIGN / name)) / "site") for name in names
        ]

    return install


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded market data; see `G6_SHARED_DATA`. Skipped without it, except where CI promises it."""
    place = Path(os.environ.get("G6_SHARED_DATA") or REPO.parent / "shared" / "data")
    if place.is_dir():
        return place
    reason = f"no recorded market data at {place}; set G6_SHARED_DATA"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def clean_env(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """`clean_env(paths, G6_X="…")`: an environment without anybody's settings; `paths` go on PYTHONPATH."""

    def env(paths: list[str] | tuple[str, ...] = (), **variables: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        home = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join([*paths, str(REPO)]), "PYTHONUTF8": "1"}
        home["G6_HTTP__ENABLED"] = "false"  # many run side by side
        return {**kept, **home, **variables}

    return env


@pytest.fixture
def g6(
    tmp_path: Path, clean_env: Callable[..., dict[str, str]], launcher: Launcher
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`g6("run", "--once", paths=installed("toy_plugin"), env={…})`: runs it in `tmp_path`, output as text."""

    def run(
        *args: str | Path,
        paths: list[str] | tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        environment = clean_env(paths, **(env or {}))
        return launcher.run("g6core", *args, cwd=tmp_path, env=environment, stdin=stdin, timeout=timeout)

    return run
