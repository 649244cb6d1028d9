-- The trail of who did what, and when signing keys stopped signing.

ALTER TABLE signing_keys ADD COLUMN retired_at BIGINT;   -- NULL while the key signs
UPDATE signing_keys SET retired_at = (SELECT MAX(created_at) FROM signing_keys) WHERE signs = 0;

CREATE TABLE audit_events (
    seq BIGINT PRIMARY KEY,          -- in the order in which they were written, without gaps
    at BIGINT NOT NULL,
    account_id TEXT,                 -- NULL: nobody's, for the installation's administrator only
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,           -- 'success' or 'failure'
    initiator TEXT NOT NULL,         -- IAM ID; '' if it is not known
    initiator_name TEXT NOT NULL,
    document TEXT NOT NULL           -- the whole event
);
CREATE INDEX audit_events_by_account ON audit_events (account_id, seq);
CREATE INDEX audit_events_by_time ON audit_events (at);
