"""What the recorder says of itself: readable or JSON, condensed, in a file that turns over, and never in the way."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g6core import G6Error, Unavailable, hide
from g6core.condensing import MOST, Condensing
from g6core.logs import PLAIN, JsonFormatter, about, log_as
from g6core.settings import LogSettings

SECRET = 'Kd8"s\\Wq2é vL0nB7'


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), getattr(record, "times", 0)))


def record(text: str, name: str = "g6.sink", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, text, None, None)


@pytest.fixture
def heard() -> Iterator[tuple[Listener, Condensing, list[float]]]:
    listener, now = Listener(), [0.0]
    handler = Condensing([listener], clock=lambda: now[0])
    yield listener, handler, now
    handler.close()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """`logs(format="json")` sets the logs up as a run does; what goes to standard error comes back."""
    root = logging.getLogger("g6")
    before = (root.handlers[:], root.level, root.propagate, logging.lastResort)
    root.handlers = []

    def start(**chosen: Any) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        log_as(LogSettings.model_validate(chosen), verbose=False)
        return sys.stderr  # type: ignore[return-value]

    yield start
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, root.propagate, logging.lastResort = before
    logging.Logger.manager._clear_cache()  # type: ignore[attr-defined]  # the level was set past its method


def test_a_message_that_repeats_itself_is_counted_until_something_new_is_said(
    heard: tuple[Listener, Condensing, list[float]],
) -> None:
    listener, handler, _ = heard
    for text in ["down", *["down"] * 14, "up"]:
        handler.handle(record(text))
    assert listener.lines == [("down", 0), ("down", 14), ("up", 0)]


def test_two_messages_in_turn_are_condensed_as_well(heard: tuple[Listener, Condensing, list[float]]) -> None:
    listener, handler, now = heard
    for _ in range(10):
        handler.handle(record("down"))
        handler.handle(record("up"))
    assert listener.lines == [("down", 0), ("up", 0)]
    now[0] = 60.0
    handler.handle(record("down"))
    assert listener.lines[2:] == [("down", 9), ("up", 9), ("down", 0)]


def test_what_is_still_said_after_a_minute_is_shown_each_minute(
    heard: tuple[Listener, Condensing, list[float]],
) -> None:
    listener, handler, now = heard
    for second in range(150):
        now[0] = float(second)
        handler.handle(record("down"))
    assert listener.lines == [("down", 0), ("down", 59), ("down", 0), ("down", 59), ("down", 0)]


def test_the_count_comes_by_itself_when_nothing_more_is_said() -> None:
    listener = Listener()
    # Long enough for three messages on a busy machine.
    handler = Condensing([listener], window=1.0)
    for _ in range(3):
        handler.handle(record("down"))
    deadline = time.monotonic() + 10
    while len(listener.lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    handler.close()
    assert listener.lines == [("down", 0), ("down", 2)]


def test_the_end_of_the_process_hides_nothing(heard: tuple[Listener, Condensing, list[float]]) -> None:
    listener, handler, _ = heard
    for _ in range(3):
        handler.handle(record("down"))
    handler.close()
    assert listener.lines == [("down", 0), ("down", 2)]


def test_another_level_logger_or_cause_is_another_message(heard: tuple[Listener, Condensing, list[float]]) -> None:
    listener, handler, _ = heard
    for cause in (OSError("a"), OSError("b")):
        handler.handle(logging.LogRecord("g6", logging.ERROR, "", 1, "failed", None, (OSError, cause, None)))
    handler.handle(record("failed", "g6.other", logging.ERROR))
    handler.handle(record("failed", "g6.other", logging.WARNING))
    assert listener.lines == [("failed", 0)] * 4
    for _ in range(2):
        handler.handle(record("detail", level=logging.DEBUG))
    assert listener.lines[4:] == [("detail", 0)] * 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60))
def test_no_message_is_lost_or_made_up(said: list[tuple[str, int]]) -> None:
    listener, now = Listener(), [0.0]
    handler = Condensing([listener], clock=lambda: now[0])
    for text, pause in said:
        now[0] += pause
        before = {text for text, _ in listener.lines}
        handler.handle(record(text))
        assert text in before or listener.lines[-1] == (text, 0), "the first is hidden"
    handler.close()
    for text in "abc":
        shown = [times or 1 for told, times in listener.lines if told == text]
        assert sum(shown) == sum(one == text for one, _ in said)


def test_it_remembers_no_more_than_so_many_messages(heard: tuple[Listener, Condensing, list[float]]) -> None:
    listener, handler, _ = heard
    for number in range(MOST + 10):
        handler.handle(record(f"order {number}"))
    assert len(listener.lines) == MOST + 10
    handler.handle(record("order 0"))
    assert listener.lines[-1] == ("order 0", 0), "the oldest was forgotten, and is said as something new"
    handler.handle(record("order 0"))
    assert len(listener.lines) == MOST + 11


def test_on_a_terminal_a_line_has_level_and_logger(logs: Callable[..., io.StringIO]) -> None:
    err = logs()
    log = logging.getLogger("g6.test")
    log.warning("the disk is %d %% full", 91)
    log.info("stopped", extra=PLAIN)
    log.error(Unavailable("no room", code="disk-full", hint="make some"))
    log.debug("detail")
    expected = "WARNING g6.test: the disk is 91 % full\nstopped\nERROR g6.test: error[disk-full]: no room\n"
    assert err.getvalue() == expected + "  help: make some\n"


def test_json_has_a_line_for_each_record_with_the_parts_of_an_error(logs: Callable[..., io.StringIO]) -> None:
    err = logs(format="json")
    log = logging.getLogger("g6.test")
    refused = Unavailable("no room", code="disk-full", where=["/data"], hint="make some")
    log.warning("two\nlines “and” a sign", extra=PLAIN)
    log.error(refused)
    log.warning("sink csv: %s", refused.message, extra=about(refused))
    try:
        raise refused
    except G6Error:
        log.exception("it failed")
    assert logging.lastResort
    logging.lastResort.handle(record("Retrying", "urllib3"))  # what libraries without a handler warn through
    lines = [json.loads(line) for line in err.getvalue().splitlines()]
    assert [line["message"] for line in lines] == [
        "two\nlines “and” a sign", "no room", "sink csv: no room", "it failed", "Retrying",
    ]  # fmt: skip
    assert [line["level"] for line in lines] == ["warning", "error", "warning", "error", "warning"]
    assert [line.get("code") for line in lines] == [None, *["disk-full"] * 3, None]
    assert all(line["hint"] == "make some" and line["where"] == ["/data"] for line in lines[1:4])
    assert "Traceback" in lines[3]["exception"]
    assert all(line["ts"].endswith("+00:00") and line["logger"] for line in lines)


def test_arguments_that_do_not_fit_cost_no_message(logs: Callable[..., io.StringIO]) -> None:
    for form in ("text", "json"):
        err = logs(format=form)
        logging.getLogger("g6.test").warning("%d snapshots from %s", "three")
        assert "snapshots from" in err.getvalue() and "three" in err.getvalue()
        assert "Logging error" not in err.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_is_in_no_part_of_a_line(form: str, logs: Callable[..., io.StringIO], tmp_path: Path) -> None:
    hide(SECRET)
    err = logs(format=form, file=tmp_path / "log")
    log = logging.getLogger("g6.test")
    try:
        raise G6Error(SECRET, where=SECRET, note=SECRET, hint=SECRET)
    except G6Error as e:
        log.exception("m %s", {"password": SECRET})
        log.error(e)
    log.warning("%d", SECRET)
    log.error("failed %s", SECRET, extra=about(ValueError(SECRET)))
    for shown in (err.getvalue(), (tmp_path / "log").read_text("utf-8")):
        assert "***" in shown
        for part in ("vL0nB7", "Kd8"):
            assert part not in shown


def test_a_level_leaves_the_lesser_out(logs: Callable[..., io.StringIO]) -> None:
    err = logs(level="error")
    logging.getLogger("g6.test").warning("oddity")
    logging.getLogger("g6.test").error("trouble")
    assert err.getvalue() == "ERROR g6.test: trouble\n"


def test_a_file_has_the_time_in_india_and_turns_over(logs: Callable[..., io.StringIO], tmp_path: Path) -> None:
    file = tmp_path / "logs" / "g6.log"
    logs(file=file, max_size="1KB", keep=2)
    for number in range(100):
        logging.getLogger("g6.test").warning("snapshot %d", number)
    names = sorted(path.name for path in file.parent.iterdir())
    assert names == ["g6.log", "g6.log.1", "g6.log.2"]
    assert all(path.stat().st_size <= 1000 for path in file.parent.iterdir())
    kept = "".join((file.parent / name).read_text() for name in ("g6.log.2", "g6.log.1", "g6.log")).splitlines()
    assert [line.rpartition(" ")[2] for line in kept] == [str(n) for n in range(100 - len(kept), 100)]
    assert " IST WARNING g6.test: snapshot 99" in kept[-1]


def test_a_file_that_cannot_be_had_is_told_and_the_rest_goes_on(
    logs: Callable[..., io.StringIO], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    err = logs(file=tmp_path / "taken" / "g6.log")
    logging.getLogger("g6.test").warning("oddity")
    assert "cannot be written" in err.getvalue()
    assert "WARNING g6.test: oddity" in err.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_told_once_and_stops_nobody(logs: Callable[..., io.StringIO], tmp_path: Path) -> None:
    (tmp_path / "g6.log").symlink_to("/dev/full")
    err = logs(file=tmp_path / "g6.log", max_size="1GB")
    for number in range(20):
        logging.getLogger("g6.test").warning("oddity %d", number)
    assert err.getvalue().count("No space left") == 1
    assert err.getvalue().count("WARNING g6.test: oddity") == 20
    assert "Traceback" not in err.getvalue()


def test_a_file_that_cannot_be_renamed_goes_on(logs: Callable[..., io.StringIO], tmp_path: Path) -> None:
    file = tmp_path / "g6.log"
    err = logs(file=file, max_size="200", keep=1)
    # A directory that is not empty lies where the full file should go, for root as for anybody.
    (tmp_path / "g6.log.1" / "x").mkdir(parents=True)
    for number in range(20):
        logging.getLogger("g6.test").warning("oddity %d", number)
    assert "oddity 19" in file.read_text()
    assert err.getvalue().count("the log file cannot be written") == 1


def test_no_standard_error_stops_nobody(logs: Callable[..., io.StringIO]) -> None:
    err = logs()
    err.close()
    logging.getLogger("g6.test").warning("oddity")


def test_json_survives_whatever_is_said() -> None:
    line = JsonFormatter().format(record("\ud800\x00\x1b[31m \u2028 {}"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "\ud800\x00\x1b[31m \u2028 {}"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_run_logs_as_the_settings_say(quiet: bool, g6: Callable[..., Any], tmp_path: Path) -> None:
    env = {"G6_LOG__FORMAT": "json", "G6_LOG__FILE": f"logs{os.sep}g6.log"}
    done = g6(
        *("run", "--plugins", "sim", "--cycles", "2", "--interval", "100ms"),
        *("--set", "indices.NIFTY.enabled=true", "--set", "indices.NIFTX.enabled=true"),
        *["--quiet"] * quiet,
        env=env,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert any("no index 'NIFTX'" in line["message"] for line in lines)
    assert lines[-1]["code"] == "nothing-recorded"
    assert [json.loads(line) for line in (tmp_path / "logs" / "g6.log").read_text("utf-8").splitlines()] == lines
    assert ("NIFTY 2" in done.stdout) is not quiet, "what was recorded is a result, and no log"
