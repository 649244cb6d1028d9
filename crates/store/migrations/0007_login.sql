-- Logins with a browser. Times are milliseconds since the Unix epoch.

-- Who is logged in on the login page.
CREATE TABLE browser_sessions (
    digest TEXT PRIMARY KEY,         -- of the cookie
    iam_id TEXT NOT NULL REFERENCES users (iam_id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (iam_id);

-- Browsers that were sent to the identity provider and are expected back.
CREATE TABLE pending_redirects (
    digest TEXT PRIMARY KEY,         -- of the parameter 'state'
    browser TEXT NOT NULL,           -- digest of the cookie
    expires_at BIGINT NOT NULL
);

-- Whom the users of an identity provider are here.
CREATE TABLE federated_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    iam_id TEXT NOT NULL UNIQUE REFERENCES users (iam_id) ON DELETE CASCADE,
    claims TEXT NOT NULL,            -- what the provider said of the user at the last login
    created_at BIGINT NOT NULL,
    logged_in_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
