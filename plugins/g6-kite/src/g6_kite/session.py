"""The session of the day: where it is kept, and until when it holds."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g6core import IST, ConfigError, Unavailable, hide

if TYPE_CHECKING:
    from g6_kite.settings import KiteSettings
    from g6core import Clock

ENDS_AT = time(6)
"""IST. Kite ends every session at this time (Kite Connect 3 documentation, "User": regulatory)."""
ENVIRONMENT = "environment"
_FORMAT = 1


@dataclass(frozen=True)
class Token:
    """One session. since: the login, until: its end by rule (both UTC, aware), None when not known.

    source: `environment`, or the file it was read from.
    """

    api_key: str
    access_token: str = field(repr=False)
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str = ENVIRONMENT


def end_of(login: datetime) -> datetime:
    """The first 06:00 IST after a login, in UTC. login: aware."""
    local = login.astimezone(IST)
    end = datetime.combine(local.date(), ENDS_AT, IST)
    return (end if local < end else end + timedelta(days=1)).astimezone(login.tzinfo)


def wide_mode(path: Path, allowed: int) -> int | None:
    """The mode of a file or directory when it grants more than `allowed`; None when it does not, or is not there."""
    try:
        return _wider(path.stat().st_mode, allowed)
    except OSError:
        return None


def _wider(mode: int, allowed: int) -> int | None:
    """Windows has no such modes: what lies in the user's profile is the user's."""
    granted = stat.S_IMODE(mode)
    return granted if os.name == "posix" and granted & ~allowed else None


class Sessions:
    """The stored session of one app at one address. `current` is cheap: ask it before each call.

    The environment goes before the file. The file is replaced as a whole, so a running process sees the old session
    or the new one.
    """

    def __init__(self, settings: KiteSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._kept: Token | None = None
        if settings.access_token:
            hide(settings.access_token.get_secret_value())

    @property
    def api_key(self) -> str:
        """Raises ConfigError when none is set."""
        if not self._settings.api_key:
            raise ConfigError(
                "`providers.kite.api_key` is not set",
                hint='`api_key = "…"` in [providers.kite]; your app\'s page at developers.kite.trade shows it',
            )
        return self._settings.api_key

    @cached_property
    def path(self) -> Path:
        """The file of this app and this address. Raises ConfigError when there is no directory for it."""
        identity = json.dumps([self.api_key, self._settings.address])
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return (self._settings.session_dir or state_dir()) / f"kite-{name}.json"

    @property
    def from_environment(self) -> bool:
        return self._settings.access_token is not None

    def current(self) -> Token | None:
        """The session that holds now; None when there is none, or it has ended.

        Raises ConfigError: no api_key, or a file that others may read.
        """
        if self._settings.access_token:
            return Token(self.api_key, self._settings.access_token.get_secret_value())
        token = self.stored()
        if token and token.until and self._clock.now() >= token.until:
            return None
        return token

    def stored(self) -> Token | None:
        """What the file holds, ended or not. Read again only when the file has changed."""
        path = self.path
        try:
            found = path.stat()
        except OSError:
            self._seen = self._kept = None
            return None
        _refuse_wide(path, found.st_mode)
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._seen:
            try:
                self._kept, self._seen = _read(path, self.api_key), seen
            except OSError:
                # Perhaps readable the next time.
                return None
        return self._kept

    def save(self, token: Token) -> Token:
        """Keep it, in the place of the one before. Raises Unavailable when the place cannot be written."""
        path = self.path
        content = {
            "v": _FORMAT,
            "api_key": token.api_key,
            "access_token": token.access_token,
            "user": token.user,
            "since": token.since.isoformat() if token.since else None,
            "until": token.until.isoformat() if token.until else None,
        }
        try:
            _make_private(path.parent)
            _replace(path, json.dumps(content))
        except OSError as e:
            raise Unavailable(
                f"the session cannot be kept: {e.strerror or e}",
                code="not-writable",
                where=str(path.parent),
                hint="make the directory writable, or name another one: `session_dir` in [providers.kite]",
            ) from e
        kept = _read(path, token.api_key)
        return kept or token

    def forget(self) -> bool:
        """Remove the file; False when there was none."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


def state_dir() -> Path:
    """Where programs of this user keep their state on this system."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.environ.get("APPDATA")
    else:
        base = os.environ.get("XDG_STATE_HOME") or _below_home(".local", "state")
    if not base:
        raise ConfigError("there is no home directory to keep a session in", hint="set `session_dir`, or HOME")
    return Path(base) / "g6"


def _below_home(*parts: str) -> str | None:
    home = os.environ.get("HOME")
    return str(Path(home, *parts)) if home else None


def _refuse_wide(path: Path, given: int) -> None:
    """Raises ConfigError when others may read the file."""
    mode = _wider(given, 0o600)
    if mode is not None:
        raise ConfigError(
            f"the session may be read by others: mode {mode:04o}",
            code="secrets-mode",
            where=str(path),
            hint=f"`chmod 600 {path}`",
        )


def _make_private(directory: Path) -> None:
    """Made as 0700; one that is there and that others may write into is refused: they could put a session there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = wide_mode(directory, 0o755)
    if mode is not None:
        raise ConfigError(
            f"others may write into the directory of the session: mode {mode:04o}",
            code="secrets-mode",
            where=str(directory),
            hint=f"`chmod 700 {directory}`",
        )


def _replace(path: Path, text: str) -> None:
    """The whole file or nothing; mkstemp makes it 0600 before a byte is in it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _read(path: Path, api_key: str) -> Token | None:
    """None when the file is no session of this app: a login writes it anew."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["v"] != _FORMAT or content["api_key"] != api_key or not isinstance(content["access_token"], str):
            return None
        hide(content["access_token"])
        since, until = (_instant(content[name]) for name in ("since", "until"))
        return Token(api_key, content["access_token"], content["user"], since, until, str(path))
    except (ValueError, KeyError, TypeError):
        return None


def _instant(text: str | None) -> datetime | None:
    """Raises ValueError for a time without a zone: nobody could say when it is."""
    moment = datetime.fromisoformat(text) if text else None
    if moment and moment.tzinfo is None:
        raise ValueError(text)
    return moment
