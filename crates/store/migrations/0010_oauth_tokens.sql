-- Logins to OpenShift clusters. Times are milliseconds since the Unix epoch.

-- What a login ends in. A token is good while its session or key, its identity and its membership are there.
CREATE TABLE oauth_tokens (
    name TEXT PRIMARY KEY,           -- 'sha256~' and the digest of the token, as the API of OpenShift names it
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    iam_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    session_id TEXT,
    api_key_id TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_tokens_by_identity ON oauth_tokens (cluster_id, iam_id);

-- What a client exchanges for a token, once.
CREATE TABLE oauth_codes (
    digest TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    iam_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT,                  -- what the verifier has to become; NULL: none is needed
    challenge_method TEXT NOT NULL,  -- 'plain' or 'S256'
    grant_type TEXT NOT NULL,        -- of the login
    api_key_id TEXT,
    parent_id TEXT,                  -- the session that the login came of, whose family the new one joins
    expires_at BIGINT NOT NULL
);
