"""`g6 login` as a person and a script use it, with Kite's official client against a server on a real socket.

Whatever happens, no secret is on a screen, in an error, in a traceback, in JSON or in the list of processes.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from g6core.cli.dotenv import dotenv_findings
from tests.kite_server import KiteServer, serving
from tests.launch import Launcher

Env = Callable[..., dict[str, str]]
BROWSER = """
import sys, urllib.error, urllib.parse, urllib.request
address = sys.argv[1]
for other in ("favicon.ico", "?request_token=stolen&status=success", "?state=guess&request_token=stolen"):
    try:
        urllib.request.urlopen(REDIRECT + other, timeout=5)
        sys.exit("a stranger was let in: " + other)
    except urllib.error.HTTPError as e:
        assert e.code in (400, 404), e
page = urllib.request.urlopen(address, timeout=5).read().decode()
assert "The terminal says" in page, page
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def kite() -> Iterator[KiteServer]:
    with serving(f"http://127.0.0.1:{free_port()}/") as server:
        yield server


class Person:
    """Types `g6 …` in a directory with a g6.toml for the server; looks at every answer for what must not be there."""

    def __init__(self, kite: KiteServer, place: Path, env: dict[str, str], launcher: Launcher) -> None:
        self.kite, self.place, self.env, self._launcher = kite, place, env, launcher
        self.state = place / "state" / "g6"
        self.env["G6_PROVIDERS__KITE__API_SECRET"] = kite.secret
        self.env["XDG_STATE_HOME"] = str(place / "state")
        (place / "g6.toml").write_text(
            'plugins = ["kite"]\n[providers.kite]\n'
            f'api_key = "{kite.key}"\naddress = "{kite.address}"\nredirect = "{kite.redirect}"\n'
        )

    def __call__(self, *args: str, stdin: str = "", forked: bool = True, **env: str) -> CompletedProcess[str]:
        """forked: quicker, but its command line in the list of processes is another one."""
        options: Any = {"cwd": self.place, "env": self.env | env, "timeout": 60}
        if forked:
            done = self._launcher.run("g6core", *args, stdin=stdin, **options)
        else:
            command = [sys.executable, "-m", "g6core", *args]
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, **options)
        self.look(done.stdout + done.stderr)
        return done

    def look(self, text: str) -> None:
        shown = [word for word in self.kite.confidential if word in text]
        assert not shown, f"shown: {shown} in {text}"
        assert not self.kite.seen_in_argv

    def log_in(self) -> None:
        done = self("login", "kite", "--token-stdin", stdin=self.kite.request_token() + "\n")
        assert done.returncode == 0, done.stderr

    @property
    def kept(self) -> Path:
        (path,) = self.state.iterdir()
        return path


@pytest.fixture
def person(kite: KiteServer, tmp_path: Path, clean_env: Env, launcher: Launcher) -> Person:
    return Person(kite, tmp_path, clean_env(), launcher)


def answer_of(kite: KiteServer, address: str) -> str:
    """Where the browser ends: the address that a person would copy."""

    class Stop(HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    with pytest.raises(HTTPError) as found:
        build_opener(Stop).open(address, timeout=5)
    return str(found.value.headers["Location"])


def error_of(done: CompletedProcess[str]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


def test_the_browser_comes_back_and_strangers_are_turned_away(person: Person, tmp_path: Path) -> None:
    (tmp_path / "browser.py").write_text(f"REDIRECT = {person.kite.redirect!r}\n{BROWSER}")
    browser = f"{sys.executable} {tmp_path / 'browser.py'} %s"
    done = person("login", "--json", forked=False, BROWSER=browser)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["v"], document["provider"]) == (1, "kite")
    assert document["session"]["valid"] is True
    assert document["session"]["user"] == "AB1234"
    assert document["session"]["until"].endswith("00:30:00+00:00")
    assert document["session"]["source"] == str(person.kept)
    if os.name == "posix":
        assert stat.S_IMODE(person.kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(person.state.stat().st_mode) == 0o700
    assert json.loads(person.kept.read_text())["access_token"] in person.kite.sessions


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize("foreign", [False, True])
def test_the_address_is_pasted_where_there_is_no_browser(person: Person, foreign: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "g6core", "login", "kite", "--no-browser"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=person.place, env=person.env, stdin=theirs, **pipes) as process:
        os.close(theirs)
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next(line.strip() for line in lines if "/connect/login?" in line)
        answer = answer_of(person.kite, address)
        if foreign:
            answer = answer.replace("state=", "state=another")
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=30)
    os.close(ours)
    person.look(out + err)
    if foreign:
        assert process.returncode == 4
        assert "error[login-refused]: that address is the answer to another login" in err
    else:
        assert process.returncode == 0, err
        assert out.startswith("kite: logged in as AB1234 since ")


def test_without_a_terminal_the_prompt_is_an_error_that_names_the_flag(person: Person) -> None:
    done = person("login", "kite", "--no-browser", "--json")
    assert done.returncode == 2
    assert "--token-stdin" in error_of(done)["hint"]
    assert "/connect/login?v=3" in done.stderr


def test_standard_input_takes_an_address_or_a_session(person: Person) -> None:
    kite = person.kite
    address = f"  {kite.redirect}?status=success&request_token={kite.request_token()}&action=login \r\n"
    done = person("login", "kite", "--token-stdin", "--json", stdin=address, forked=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["session"]["user"] == "AB1234"
    other = kite.session()
    done = person("login", "kite", "--token-stdin", stdin=f"access_token={other}\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(person.kept.read_text())["access_token"] == other


def test_a_used_token_is_refused_and_nothing_is_kept(person: Person) -> None:
    used = person.kite.request_token()
    person.kite.requests[used] = True
    done = person("-v", "login", "kite", "--token-stdin", "--json", stdin=used)
    assert done.returncode == 4, done.stderr
    assert error_of(done)["code"] == "login-refused"
    assert error_of(done)["message"].startswith("Kite refuses: Token is invalid or has expired.")
    assert "Traceback" in done.stderr
    assert not person.state.exists()


def test_a_wrong_secret_and_a_broken_server_show_nothing_of_what_was_sent(person: Person) -> None:
    kite = person.kite
    wrong = "0123456789abcdef0123456789abcdef"
    token = kite.request_token()
    variable = {"G6_PROVIDERS__KITE__API_SECRET": wrong}
    done = person("-v", "login", "kite", "--token-stdin", "--json", stdin=token, **variable)
    assert done.returncode == 4
    assert "Invalid `checksum`" in done.stderr
    assert wrong not in done.stdout + done.stderr
    assert kite.asked[-1][2]["checksum"] not in done.stdout + done.stderr
    kite.broken = True
    done = person("-v", "login", "kite", "--token-stdin", "--json", stdin=token)
    assert done.returncode == 3
    assert error_of(done)["code"] == "unavailable"
    assert "502" in error_of(done)["message"]


def test_status_and_logout(person: Person) -> None:
    kite = person.kite
    done = person("login", "--status")
    assert done.returncode == 4
    assert "not logged in: there is no session; run `g6 login kite`" in done.stdout
    person.log_in()
    done = person("login", "--status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["session"]["valid"] is True
    ended = kite.sessions.copy()
    kite.sessions.clear()
    done = person("login", "--status", "--json")
    assert done.returncode == 4
    assert "Incorrect" in json.loads(done.stdout)["session"]["note"]
    kite.sessions |= ended
    assert person("login", "--logout").stdout == "kite: logged out\n"
    assert not kite.sessions
    assert not list(person.state.iterdir())
    assert json.loads(person("login", "--logout", "--json").stdout)["logged_out"] is False


def test_a_logout_without_kite_forgets_and_says_so(person: Person) -> None:
    person.log_in()
    person.kite.broken = True
    done = person("-v", "login", "--logout", "--json")
    assert done.returncode == 3
    assert "forgotten here" in error_of(done)["note"]
    assert not list(person.state.iterdir())


def test_a_session_of_the_environment_goes_before_a_login(person: Person) -> None:
    variable = {"G6_PROVIDERS__KITE__ACCESS_TOKEN": person.kite.session()}
    done = person("login", "--status", **variable)
    assert done.returncode == 0, done.stderr
    assert "session from environment" in done.stdout
    done = person("login", "kite", "--token-stdin", stdin=person.kite.request_token(), **variable)
    assert done.returncode == 2
    assert "G6_PROVIDERS__KITE__ACCESS_TOKEN" in done.stderr
    assert not any(person.kite.requests.values())


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_session_that_others_may_read_is_not_used(person: Person) -> None:
    person.log_in()
    person.kept.chmod(0o644)
    done = person("login", "--status", "--json")
    assert done.returncode == 2
    assert error_of(done)["code"] == "secrets-mode"
    assert error_of(done)["hint"] == f"`chmod 600 {person.kept}`"


def test_a_port_in_use_is_told_and_the_paste_way_named(person: Person) -> None:
    port = int(person.kite.redirect.rstrip("/").rpartition(":")[2])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = person("login", "kite", "--json", BROWSER="true %s")
    assert done.returncode == 3
    assert error_of(done)["code"] == "login-port"
    assert "--no-browser" in error_of(done)["hint"]


def test_which_provider_is_meant(person: Person) -> None:
    (person.place / "g6.toml").write_text('plugins = ["csv", "sim"]\n[indices.NIFTY]\n')
    done = person("login", "--status", "--json")
    assert done.returncode == 2
    assert error_of(done)["message"] == "no selected provider has a login"
    done = person("login", "sim", "--json")
    assert (done.returncode, error_of(done)["message"]) == (2, "provider `sim` has no login")
    # An installed plugin need not be selected, and NIFTY need not say which of two providers it comes from.
    key = {"G6_PROVIDERS__KITE__API_KEY": person.kite.key, "G6_PROVIDERS__KITE__ADDRESS": person.kite.address}
    assert person("login", "kite", "--status", **key).returncode == 4


def test_the_key_may_stand_in_the_file_and_the_secret_may_not(person: Person) -> None:
    settings = person.place / "g6.toml"
    settings.write_text(settings.read_text() + f'api_secret = "{person.kite.secret}"\n')
    del person.env["G6_PROVIDERS__KITE__API_SECRET"]
    done = person("login", "kite", "--json", "--status")
    assert done.returncode == 2
    assert error_of(done)["code"] == "secret-in-file"
    assert "api_secret" in error_of(done)["message"]


def doctor(person: Person) -> list[dict[str, Any]]:
    done = person("doctor", "--json")
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return findings


def test_doctor_asks_for_session_clock_and_plan(person: Person) -> None:
    def of_kite() -> list[tuple[str, str]]:
        return [(f["level"], f["message"]) for f in doctor(person) if f["message"].startswith("kite: ")]

    assert of_kite() == [("error", "kite: there is no session")]
    person.log_in()
    settings = person.place / "g6.toml"
    settings.write_text(settings.read_text() + f'api_secret = "{person.kite.secret}"\n')
    (holds, clock, plan) = of_kite()
    assert holds[0] == clock[0] == plan[0] == "ok"
    assert holds[1].startswith("kite: session of AB1234 holds until ")
    person.kite.skew, person.kite.plan = -person.kite.skew.resolution * 3_600_000_000, False
    found = doctor(person)
    hidden = [f for f in found if "g6.toml:6, though another source goes before it" in f["message"]]
    assert [f["level"] for f in hidden] == ["error"]
    (_, clock, plan) = [(f["level"], f["message"]) for f in found if f["message"].startswith("kite: ")]
    assert (clock[0], plan[0]) == ("warning", "error")
    assert "s ahead of Kite's" in clock[1]
    assert "no market data" in plan[1]


def test_doctor_sees_a_dotenv_that_git_would_take(tmp_path: Path) -> None:
    path = tmp_path / ".env"

    def told() -> list[str]:
        return [finding.message for finding in dotenv_findings(path)]

    assert told() == []
    path.write_text("G6_PROVIDERS__KITE__API_SECRET=x\n")
    path.chmod(0o600)
    assert told() == []
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert told() == [f"git would take `{path}` along, with the secrets in it"]
    (tmp_path / ".gitignore").write_text(".env\n")
    path.chmod(0o644)
    assert told() == ([f"others may read `{path}`: mode 0644"] if os.name == "posix" else [])
    subprocess.run(["git", "add", "--force", ".env"], cwd=tmp_path, check=True)
    path.chmod(0o600)
    assert told() == [f"git would take `{path}` along, with the secrets in it"]
