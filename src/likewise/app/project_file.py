"""A project on disk: one SQLite file, of which every change is written whole or not at all, and by itself.

Under each picture's key stands what a person said of it, and, apart from that, every answer there was, by the question
it is to. So a change takes as long in a project of 5000 pictures as in one of two, and undo finds the old answers.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from likewise.app.limits import RefusedError

#: Of the tables; a file with a higher number is another version's, and left as it is.
FORMAT = 1
#: Seconds that are waited for another process that is writing.
PATIENCE = 5.0
_TABLES = """
CREATE TABLE pictures (key TEXT PRIMARY KEY, size INTEGER NOT NULL, entry TEXT NOT NULL, question TEXT);
CREATE TABLE answers (
    key TEXT, task TEXT, question TEXT, brief TEXT NOT NULL, whole TEXT NOT NULL, heat BLOB,
    PRIMARY KEY (key, task, question)
);
CREATE TABLE asked (task TEXT PRIMARY KEY, question TEXT);
CREATE TABLE notes (name TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE jobs (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE VIEW current AS SELECT answers.* FROM answers
    LEFT JOIN pictures USING (key) LEFT JOIN asked USING (task)
    WHERE answers.question = CASE task WHEN 'count' THEN pictures.question ELSE asked.question END;
"""

_DROP_SEEN_BEFORE = """
DELETE FROM answers WHERE key = :key AND task != 'count' AND json_extract(:entry, '$.seen') IS NOT
    (SELECT json_extract(entry, '$.seen') FROM pictures WHERE pictures.key = :key)
"""


class Row(NamedTuple):
    """What a person said of a picture.

    Attributes:
        key: of the picture.
        size: of its file, bytes, when that was said.
        entry: JSON, see `likewise.app.changes.Entry`.
        question: how many of what; None: nothing is to be counted.
    """

    key: str
    size: int
    entry: str
    question: str | None


@dataclass(frozen=True)
class Answered:
    """What a model said of a picture.

    Attributes:
        key: of the picture.
        task: "count", "segment" or "recognize".
        question: to which it is the answer.
        brief: JSON, for the table of pictures.
        whole: JSON, all of it.
        heat: a PNG of the density, reduced.
    """

    key: str
    task: str
    question: str
    brief: str
    whole: str
    heat: bytes | None = None


class ProjectFile:
    """One file, made with the first change. May be used from any thread.

    Args:
        path: of the file.
        alone: nobody else may have it open meanwhile, which is found out with the first change.
    """

    def __init__(self, path: Path, *, alone: bool) -> None:
        self._path = path
        self._alone = alone
        self._db: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def rows(self, key: str | None = None) -> list[Row]:
        """Of every picture that anything was said of, or of the one with that key."""
        words = "SELECT key, size, entry, question FROM pictures"
        return [Row(*row) for row in self._read(words + " WHERE key = ?" * (key is not None), (key,) if key else ())]

    def briefs(self) -> list[tuple[str, str, str]]:
        """Key, task and brief answer of every picture, to what is asked now."""
        return [(key, task, brief) for key, task, brief in self._read("SELECT key, task, brief FROM current")]

    def answers(self, key: str) -> list[Answered]:
        """Everything that was answered of a picture to what is asked now."""
        found = self._read("SELECT key, task, question, brief, whole, heat FROM current WHERE key = ?", (key,))
        return [Answered(*row) for row in found]

    def answered(self, task: str, questions: Mapping[str, str]) -> set[str]:
        """Of the pictures with these keys those to whose question there is an answer."""
        found = set(self._read("SELECT key, question FROM answers WHERE task = ?", (task,)))
        return {key for key, question in questions.items() if (key, question) in found}

    def asked(self) -> dict[str, str]:
        """What is asked of all pictures, by task."""
        return dict(self._read("SELECT task, question FROM asked"))

    def jobs(self) -> list[tuple[str, str]]:
        """Id and body, as JSON, of every job that is not done."""
        return [(job, body) for job, body in self._read("SELECT id, body FROM jobs")]

    def put(self, rows: Iterable[Row] = (), asked: Mapping[str, str] | None = None) -> None:
        """Keep what a person said, all of it or nothing.

        Where something else of a picture's file is seen than before, answers to what is asked of all pictures are gone:
        their question does not tell them apart.

        Raises:
            RefusedError: it cannot be written.
        """
        said = list(rows)
        with self._writing() as db:
            db.executemany(_DROP_SEEN_BEFORE, [{"key": row.key, "entry": row.entry} for row in said])
            db.executemany("REPLACE INTO pictures VALUES (?, ?, ?, ?)", said)
            db.executemany("REPLACE INTO asked VALUES (?, ?)", (asked or {}).items())

    def put_answers(self, answers: Sequence[Answered]) -> None:
        """Keep answers, all or none.

        Raises:
            RefusedError: they cannot be written.
        """
        with self._writing() as db:
            found = ((each.key, each.task, each.question, each.brief, each.whole, each.heat) for each in answers)
            db.executemany("REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", found)
            first = [(each.task, each.question) for each in answers if each.task != "count"]
            db.executemany("INSERT OR IGNORE INTO asked VALUES (?, ?)", first)

    def note(self, name: str) -> str | None:
        """What was noted of the whole project under a name."""
        found = self._read("SELECT content FROM notes WHERE name = ?", (name,))
        return next((content for (content,) in found), None)

    def put_note(self, name: str, content: str) -> None:
        """Note something of the whole project."""
        with self._writing() as db:
            db.execute("REPLACE INTO notes VALUES (?, ?)", (name, content))

    def put_job(self, job: str, body: str | None) -> None:
        """Keep what a job is to do; None: it is done."""
        if body is None and not self._path.exists():
            return
        with self._writing() as db:
            db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            if body is not None:
                db.execute("INSERT INTO jobs VALUES (?, ?)", (job, body))

    def tidy(self, replaced: Iterable[tuple[str, int]]) -> None:
        """Drop answers to what is not asked any more, unless by a stopped job, and those of replaced pictures.

        Args:
            replaced: keys of pictures whose file is another than it was, with its size.
        """
        if not self._path.exists():
            return
        with self._writing() as db:
            db.executemany("DELETE FROM answers WHERE key = ?", ((key,) for key, _ in replaced))
            db.executemany("UPDATE pictures SET size = ? WHERE key = ?", ((size, key) for key, size in replaced))
            db.execute(
                "DELETE FROM answers WHERE rowid NOT IN (SELECT a.rowid FROM answers a JOIN current c ON "
                "(a.key, a.task, a.question) = (c.key, c.task, c.question)) "
                "AND question NOT IN (SELECT each.value FROM jobs, json_each(jobs.body, '$.keep') each)"
            )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _read(self, words: str, values: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with self._lock, _told(self._path):
            db = self._open() if self._path.exists() else None
            found: list[tuple[Any, ...]] = [] if db is None else db.execute(words, values).fetchall()
        return iter(found)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told(self._path):
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            try:
                _prepare(db, alone=self._alone)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db


def _prepare(db: sqlite3.Connection, *, alone: bool) -> None:
    db.execute(f"PRAGMA locking_mode = {'EXCLUSIVE' if alone else 'NORMAL'}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # an answered change survives a power failure
    db.execute("BEGIN IMMEDIATE")  # which finds out whether somebody else has it open
    [(found,)] = db.execute("PRAGMA user_version")
    if found > FORMAT:
        raise RefusedError(409, "the project beside the pictures is of a newer likewise; it is left as it is")
    if found == 0:
        for words in _TABLES.split(";\n"):
            db.execute(words)
        db.execute(f"PRAGMA user_version = {FORMAT}")
    db.execute("COMMIT")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong with the file is told without its path."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise RefusedError(
                409, "another likewise has these pictures open; what is done here is not kept"
            ) from error
        raise RefusedError(
            409, f"the project {path.name} cannot be used ({error}); what is done here is not kept"
        ) from error
