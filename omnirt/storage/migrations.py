"""The steps that lead a database from each version to the next."""

from __future__ import annotations

# MIGRATIONS[n] leads from user_version n to n + 1. One that was released is never edited.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY,
            project_slug TEXT NOT NULL,
            agent_slug TEXT NOT NULL,
            started_at TEXT NOT NULL)""",
        """CREATE TABLE runs (
            run_id TEXT PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
            agent TEXT NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            record TEXT NOT NULL,
            output_format TEXT NOT NULL,
            output_rate INTEGER NOT NULL,
            started_at TEXT NOT NULL,
            ended_at TEXT,
            reason TEXT,
            duration_ms INTEGER)""",
        "CREATE INDEX runs_of_session ON runs (session_id)",
        """CREATE TABLE items (
            id INTEGER PRIMARY KEY,
            run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
            item_id TEXT NOT NULL,
            position INTEGER NOT NULL,
            type TEXT NOT NULL,
            role TEXT,
            status TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            json TEXT NOT NULL,
            UNIQUE (run_id, item_id))""",
        # No reference to items: audio may come before its item does, and outlive it.
        """CREATE TABLE audio (
            id INTEGER PRIMARY KEY,
            run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
            item_id TEXT NOT NULL,
            content_index INTEGER NOT NULL,
            side TEXT NOT NULL,
            path TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            duration_ms INTEGER NOT NULL,
            dropped_ms INTEGER NOT NULL,
            heard_ms INTEGER,
            interrupted INTEGER NOT NULL,
            final INTEGER NOT NULL,
            UNIQUE (run_id, side, item_id, content_index))""",
        """CREATE TABLE usage (
            run_id TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
            input_tokens INTEGER,
            output_tokens INTEGER,
            total_tokens INTEGER,
            json TEXT NOT NULL)""",
    ),
    (
        "ALTER TABLE runs ADD COLUMN input_format TEXT",
        "ALTER TABLE runs ADD COLUMN input_rate INTEGER",
        # When the first sample was played, on the run's clock; `at_ms` is when it arrived.
        "ALTER TABLE audio ADD COLUMN played_at_ms INTEGER",
        # What a crash left open is found without reading a long history.
        "CREATE INDEX runs_open ON runs (session_id) WHERE ended_at IS NULL",
        "CREATE INDEX audio_open ON audio (run_id) WHERE final = 0",
    ),
    (
        # Who answers since the last handoff; null while it is the agent that the run began with.
        "ALTER TABLE runs ADD COLUMN active_agent TEXT",
        "CREATE INDEX sessions_by_start ON sessions (started_at, session_id)",
        "CREATE INDEX items_by_position ON items (run_id, position)",
        # Files still to be removed, after the rows that told of them: a crash in between loses no name.
        """CREATE TABLE deletions (
            id INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL,
            files TEXT NOT NULL)""",
        # What was said and written in an item, for the search.
        """CREATE VIEW item_words AS SELECT id, CASE WHEN json_valid(json) THEN coalesce(
                json_extract(json, '$.generatedText'),
                (SELECT group_concat(
                    coalesce(json_extract(value, '$.text'), json_extract(value, '$.transcript')), ' ')
                    FROM json_each(items.json, '$.content')),
                '') ELSE '' END AS text
            FROM items""",
        "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')",
        """CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
            INSERT INTO words (rowid, text)
            SELECT id, text FROM item_words WHERE id = new.id AND text <> '';
        END""",
        """CREATE TRIGGER item_changed AFTER UPDATE OF json ON items WHEN new.json <> old.json BEGIN
            DELETE FROM words WHERE rowid = old.id;
            INSERT INTO words (rowid, text)
            SELECT id, text FROM item_words WHERE id = new.id AND text <> '';
        END""",
        "CREATE TRIGGER item_gone AFTER DELETE ON items BEGIN DELETE FROM words WHERE rowid = old.id; END",
        "INSERT INTO words (rowid, text) SELECT id, text FROM item_words WHERE text <> ''",
    ),
    (
        # What the host was told, in order, without words and sound.
        """CREATE TABLE told (
            run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
            position INTEGER NOT NULL,
            method TEXT NOT NULL,
            json TEXT NOT NULL,
            PRIMARY KEY (run_id, position)) WITHOUT ROWID""",
    ),
)
