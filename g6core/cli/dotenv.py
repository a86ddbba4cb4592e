"""What `g6 doctor` says about `.env`: it holds secrets, and others may see it in two ways."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from g6core.reports import Finding

_PATIENCE = 10.0
_NOT_IGNORED = 1


def dotenv_findings(path: Path) -> Iterator[Finding]:
    """Nothing when there is no such file, or nothing is wrong with it."""
    if not path.is_file():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        yield Finding("warning", f"others may read `{path}`: mode {mode:04o}", f"`chmod 600 {path}`")
    if _in_git(path) and not _ignored(path):
        yield Finding(
            "warning",
            f"git would take `{path}` along, with the secrets in it",
            f"`echo {path.name} >> .gitignore`; if it was committed, `git rm --cached {path.name}` and new secrets",
        )


def _in_git(path: Path) -> bool:
    return any((parent / ".git").exists() for parent in path.absolute().parents)


def _ignored(path: Path) -> bool:
    """As git says; a file that is in the index is not ignored, whatever the rules."""
    git = shutil.which("git")
    if git is None:
        return False
    try:
        asked = [git, "-C", str(path.absolute().parent), "check-ignore", "--quiet", path.name]
        return subprocess.run(asked, capture_output=True, timeout=_PATIENCE).returncode != _NOT_IGNORED
    except (OSError, subprocess.TimeoutExpired):
        return True
