"""What a database refused, as a person wants to hear it, and whether asking again can help.

Rejected is only what is wrong with the rows themselves. Everything else (a table that was dropped, a right that was
taken away) a person can mend, so the rows wait for that.
"""

from __future__ import annotations

import re

from g6core import G6Error, Rejected, Unavailable

_BAD_ROWS = ("21", "22", "23")
"""Classes of SQLSTATE: cardinality, data, integrity constraints."""
_BAD_ROW = ("54000", "54011", "42701", "42622")
"""A row or an index entry too big, too many columns, a column called as one of the system, a name too long."""
_BAD_SQLITE = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR", "53100")
_NOT_WRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_LONGEST = 300

HINTS = {
    "28P01": "set G6_SINKS__SQL__PASSWORD, PGPASSWORD or ~/.pgpass",
    "28000": "see pg_hba.conf of the server, and the user in `url`",
    "3D000": "make the database: `createdb NAME`",
    "role": "make the user: `createuser NAME`, or mend the one in `url`",
    "42501": "give the user of `url` the right: GRANT … TO …",
    "57014": "find what holds a lock or makes the server slow, or raise `timeout` of the sink",
    "SQLITE_BUSY": "end what keeps the file locked, such as a transaction left open in another program",
}
_WORDS = {r"password": "28P01", r"pg_hba": "28000", r'role ".*" does not exist': "role", r"does not exist": "3D000"}
"""A failure to connect has no SQLSTATE; these words are in its text."""


def failure(e: Exception, where: str) -> G6Error:
    """Unavailable or Rejected for an error of sqlite3, of psycopg, or of SQLAlchemy around either."""
    own = getattr(e, "orig", None) or e
    code = _code(own)
    text = _text(own)
    if isinstance(own, OverflowError | UnicodeError) or _rows_are_bad(own, code):
        return Rejected(f"the database refuses the rows: {text}", where=where)
    hint = HINTS.get(code) or HINTS.get(code.rpartition("_")[0])
    if code.startswith(_FULL):
        # Without the file and the line, which are others at each attempt: the log says it once.
        reason = re.sub(r' "[^"]*"|;.*', "", text)
        return Unavailable(
            f"no space for the database, or its disk fails: {reason}",
            code="disk-full",
            where=where,
            note="nothing of the batch was stored; it waits in the journal",
            hint="free some space there; writing goes on by itself",
        )
    if code.startswith(_NOT_WRITABLE):
        return Unavailable(
            f"the database cannot be written: {text}",
            code="not-writable",
            where=where,
            hint="make the file and its directory writable, or set another `url`",
        )
    if code.startswith(_BROKEN):
        hint = "move the file away and g6 begins a new one; `sqlite3 FILE .recover` may save what is in it"
    return Unavailable(f"the database does not take anything now: {text}", where=where, hint=hint)


def no_answer(seconds: float, where: str) -> Unavailable:
    return Unavailable(
        f"the database has not answered within {seconds:g} s",
        where=where,
        hint="see whether the server hangs, or raise `timeout` of the sink",
    )


def _rows_are_bad(e: BaseException, code: str) -> bool:
    if code == "23514" and not e.diag.constraint_name:  # type: ignore[attr-defined]
        # No partition for the month: it was taken away while we wrote.
        return False
    return code.startswith(_BAD_SQLITE) or (len(code) == 5 and code.startswith(_BAD_ROWS)) or code in _BAD_ROW


def _code(e: BaseException) -> str:
    """SQLSTATE, or SQLite's name of the error; empty when there is none."""
    code = getattr(e, "sqlstate", None) or getattr(e, "sqlite_errorname", None)
    if code:
        return str(code)
    return next((code for words, code in _WORDS.items() if re.search(words, str(e))), "")


def _text(e: BaseException) -> str:
    """The database's own words, one line; where in the rows it was, when it says so."""
    said = getattr(e, "diag", None)
    if said is not None and said.message_primary:
        parts = [said.message_primary, *(said.context or "").splitlines()[:1]]
        return "; ".join(parts)[:_LONGEST]
    return (str(e).strip().splitlines() or [type(e).__name__])[0][:_LONGEST]
