"""A full disk: told loudly, nothing is corrupted, and recording resumes by itself once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from g6core import days
from tests.test_crash import recorded, written

SETTINGS = """
plugins = ["sim", "csv"]
interval = "50ms"
strategy = { use = "atm_window", below = 5, above = 5 }
[indices.NIFTY]
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.name == "nt" or subprocess.run(command, capture_output=True).returncode:
        reason = "a small file system cannot be mounted here; it takes root on Linux"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_recording_stands_still_on_a_full_disk_and_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path, clean_env: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / "g6.toml").write_text(SETTINGS)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3_000_000))
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "g6core", "run", "--data-dir", str(small_disk)],
            cwd=tmp_path,
            env=clean_env(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            assert until(lambda: "error[disk-full]" in log.read_text(), 60), log.read_text()[-2000:]
            time.sleep(1)
            assert process.poll() is None
            ballast.unlink()
            assert until(lambda: "can be written again" in log.read_text()), log.read_text()[-2000:]
            before = sum(1 for path in days.days(small_disk) for _ in days.read_day(path))
            time.sleep(1)
            process.terminate()
            assert process.wait(30) == 0, log.read_text()[-2000:]
        finally:
            process.kill()
    text = log.read_text()
    assert text.count("error[disk-full]") <= 3
    expected = recorded(small_disk)
    assert sum(1 for path in days.days(small_disk) for _ in days.read_day(path)) > before
    assert written(small_disk) == expected
