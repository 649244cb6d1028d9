-- A login may lead to sessions in several accounts, and by passcodes to more. Times are milliseconds since the Unix epoch.

ALTER TABLE sessions ADD COLUMN family_id TEXT;      -- the session that the login began; NULL: this one
ALTER TABLE sessions ADD COLUMN origin_at BIGINT;    -- when the login was; NULL: when this session began
CREATE INDEX sessions_by_family ON sessions (family_id);

ALTER TABLE passcodes ADD COLUMN session_id TEXT;    -- whose refresh token asked for it; NULL: that was a browser
