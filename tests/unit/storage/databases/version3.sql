-- A database of version 3, as released, with a session in it.
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    project_slug TEXT NOT NULL,
    agent_slug TEXT NOT NULL,
    started_at TEXT NOT NULL);
CREATE TABLE runs (
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
    duration_ms INTEGER);
CREATE INDEX runs_of_session ON runs (session_id);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    item_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    type TEXT NOT NULL,
    role TEXT,
    status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (run_id, item_id));
CREATE TABLE audio (
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
    UNIQUE (run_id, side, item_id, content_index));
CREATE TABLE usage (
    run_id TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    input_tokens INTEGER,
    output_tokens INTEGER,
    total_tokens INTEGER,
    json TEXT NOT NULL);
ALTER TABLE runs ADD COLUMN input_format TEXT;
ALTER TABLE runs ADD COLUMN input_rate INTEGER;
ALTER TABLE audio ADD COLUMN played_at_ms INTEGER;
CREATE INDEX runs_open ON runs (session_id) WHERE ended_at IS NULL;
CREATE INDEX audio_open ON audio (run_id) WHERE final = 0;
INSERT INTO sessions VALUES ('old', 'acme', 'greeter', '2025-01-01T10:00:00.000Z');
INSERT INTO runs (run_id, session_id, agent, provider, model, record, output_format, output_rate, started_at, ended_at, reason, duration_ms)
VALUES ('11111111-2222', 'old', 'Greeter', 'simulator', 'gpt-realtime', 'assistant', 'pcm16', 24000,
    '2025-01-01T10:00:00.000Z', '2025-01-01T10:00:09.000Z', 'stopped', 9000);
INSERT INTO items (run_id, item_id, position, type, role, status, at_ms, json) VALUES
    ('11111111-2222', 'item_1', 1, 'message', 'user', 'completed', 100,
        '{"itemId":"item_1","type":"message","role":"user","status":"completed","content":[{"type":"text","text":"Where is Lisbon?"}],"atMs":100}'),
    ('11111111-2222', 'item_2', 2, 'message', 'assistant', 'completed', 200,
        '{"itemId":"item_2","type":"message","role":"assistant","status":"completed","content":[{"type":"audio","transcript":"In Portugal."}],"generatedText":"In Portugal.","heardMs":400,"interrupted":true,"atMs":200}');
INSERT INTO audio (run_id, item_id, content_index, side, path, at_ms, duration_ms, dropped_ms, heard_ms, interrupted, final)
VALUES ('11111111-2222', 'item_2', 0, 'assistant', 'audio/acme/greeter/old/11111111-0001-item_2-0.wav', 200, 500, 0, 400, 1, 1);
INSERT INTO usage VALUES ('11111111-2222', 10, 20, 30, '{"inputTokens":10,"outputTokens":20,"totalTokens":30}');
ALTER TABLE runs ADD COLUMN active_agent TEXT;
CREATE INDEX sessions_by_start ON sessions (started_at, session_id);
CREATE INDEX items_by_position ON items (run_id, position);
CREATE TABLE deletions (
            id INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL,
            files TEXT NOT NULL);
CREATE VIEW item_words AS SELECT id, CASE WHEN json_valid(json) THEN coalesce(
                json_extract(json, '$.generatedText'),
                (SELECT group_concat(
                    coalesce(json_extract(value, '$.text'), json_extract(value, '$.transcript')), ' ')
                    FROM json_each(items.json, '$.content')),
                '') ELSE '' END AS text
            FROM items;
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
            INSERT INTO words (rowid, text)
            SELECT id, text FROM item_words WHERE id = new.id AND text <> '';
        END;
CREATE TRIGGER item_changed AFTER UPDATE OF json ON items WHEN new.json <> old.json BEGIN
            DELETE FROM words WHERE rowid = old.id;
            INSERT INTO words (rowid, text)
            SELECT id, text FROM item_words WHERE id = new.id AND text <> '';
        END;
CREATE TRIGGER item_gone AFTER DELETE ON items BEGIN DELETE FROM words WHERE rowid = old.id; END;
INSERT INTO words (rowid, text) SELECT id, text FROM item_words WHERE text <> '';
PRAGMA user_version = 3;
