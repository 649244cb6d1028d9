-- Identities, sessions, and who may do what. Times are milliseconds since the Unix epoch, flags are 0 or 1, documents are JSON text.
-- `revision` counts the changes of a row; entity tags are made of it.

-- Sessions ---------------------------------------------------------------------------------------------------------------

-- A login. Access tokens name their session, so that one that was ended is refused at once.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,             -- 'C-' and a UUID
    iam_id TEXT NOT NULL,            -- of a user, a service ID or a trusted profile
    account_id TEXT,                 -- NULL: not scoped to an account
    client_id TEXT NOT NULL,
    grant_type TEXT NOT NULL,        -- of the login
    api_key_id TEXT,                 -- of the key that was used, whose end is the session's
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL          -- when a token was last issued in it
);
CREATE INDEX sessions_by_identity ON sessions (iam_id, created_at);
CREATE INDEX sessions_by_account ON sessions (account_id, iam_id);
CREATE INDEX sessions_by_key ON sessions (api_key_id);

INSERT INTO sessions (id, iam_id, account_id, client_id, grant_type, api_key_id, created_at, used_at)
SELECT session_id, iam_id, MAX(account_id), MIN(client_id), MIN(grant_type), NULL, MIN(issued_at), MAX(issued_at)
FROM refresh_tokens GROUP BY session_id, iam_id;

-- Service IDs and trusted profiles have tokens as well, so the owner of one is no longer looked for among users alone.
CREATE TABLE refresh_tokens_new (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,              -- 'refresh' or 'delegated'
    iam_id TEXT NOT NULL,
    account_id TEXT,                 -- NULL: not scoped to an account
    client_id TEXT NOT NULL,         -- the client that may use it
    session_id TEXT NOT NULL,        -- all tokens of one session are one family
    grant_type TEXT NOT NULL,        -- of the login at the start of the session
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT                   -- when another one was first issued for it
);
INSERT INTO refresh_tokens_new
SELECT digest, kind, iam_id, account_id, client_id, session_id, grant_type, issued_at, expires_at, NULL FROM refresh_tokens;
DROP TABLE refresh_tokens;
ALTER TABLE refresh_tokens_new RENAME TO refresh_tokens;
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- A passcode leads no further than the login that asked for it.
ALTER TABLE passcodes ADD COLUMN account_id TEXT;
ALTER TABLE passcodes ADD COLUMN api_key_id TEXT;

-- Identities -------------------------------------------------------------------------------------------------------------

CREATE TABLE api_keys_new (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    iam_id TEXT NOT NULL,            -- of a user or a service ID
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    locked BIGINT NOT NULL DEFAULT 0,
    value TEXT,                      -- sealed; only if it was asked for at creation
    support_sessions BIGINT NOT NULL DEFAULT 0,
    action_when_leaked TEXT NOT NULL DEFAULT 'none',
    expires_at BIGINT,
    created_by TEXT NOT NULL DEFAULT '',
    modified_at BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 1
);
INSERT INTO api_keys_new (id, account_id, iam_id, name, description, digest, disabled, created_at, created_by, modified_at)
SELECT id, account_id, iam_id, name, description, digest, disabled, created_at, iam_id, created_at FROM api_keys;
DROP TABLE api_keys;
ALTER TABLE api_keys_new RENAME TO api_keys;
CREATE INDEX api_keys_by_identity ON api_keys (account_id, iam_id);

CREATE TABLE service_ids (
    id TEXT PRIMARY KEY,             -- 'ServiceId-' and a UUID
    iam_id TEXT NOT NULL UNIQUE,     -- 'iam-' and the ID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    unique_instance_crns TEXT NOT NULL,
    group_id TEXT,
    locked BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX service_ids_by_account ON service_ids (account_id, name);

CREATE TABLE trusted_profiles (
    id TEXT PRIMARY KEY,             -- 'Profile-' and a UUID
    iam_id TEXT NOT NULL UNIQUE,     -- 'iam-' and the ID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

-- Who may assume a trusted profile by name.
CREATE TABLE trusted_profile_identities (
    profile_id TEXT NOT NULL REFERENCES trusted_profiles (id) ON DELETE CASCADE,
    type TEXT NOT NULL,              -- 'user', 'serviceid' or 'crn'
    identifier TEXT NOT NULL,
    iam_id TEXT NOT NULL,
    accounts TEXT NOT NULL,          -- from which accounts a user may; a list
    description TEXT NOT NULL,
    PRIMARY KEY (profile_id, type, identifier)
);

-- Who may assume a trusted profile by what the identity provider or the compute resource says of them.
CREATE TABLE trusted_profile_rules (
    id TEXT PRIMARY KEY,             -- 'ClaimRule-' and a UUID
    profile_id TEXT NOT NULL REFERENCES trusted_profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,              -- 'Profile-SAML' or 'Profile-CR'
    realm_name TEXT NOT NULL,
    cr_type TEXT NOT NULL,
    expiration BIGINT NOT NULL,      -- seconds
    conditions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX trusted_profile_rules_by_profile ON trusted_profile_rules (profile_id);

CREATE TABLE trusted_profile_links (
    id TEXT PRIMARY KEY,             -- 'Link-' and a UUID
    profile_id TEXT NOT NULL REFERENCES trusted_profiles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    cr_type TEXT NOT NULL,
    link TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX trusted_profile_links_by_profile ON trusted_profile_links (profile_id);

-- Accounts ---------------------------------------------------------------------------------------------------------------

-- Documents of settings by what they are for: 'identity', 'access-groups', 'access-management'.
CREATE TABLE account_settings (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind)
);

ALTER TABLE account_members ADD COLUMN state TEXT NOT NULL DEFAULT 'ACTIVE';   -- 'PENDING' until an invitation is accepted
ALTER TABLE account_members ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';     -- what the account says of the user
ALTER TABLE account_members ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

ALTER TABLE resource_groups ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resource_groups ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;

-- Access -----------------------------------------------------------------------------------------------------------------

CREATE TABLE access_groups (
    id TEXT PRIMARY KEY,             -- 'AccessGroupId-' and a UUID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

CREATE TABLE access_group_members (
    group_id TEXT NOT NULL REFERENCES access_groups (id) ON DELETE CASCADE,
    iam_id TEXT NOT NULL,
    type TEXT NOT NULL,              -- 'user', 'service' or 'profile'
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (group_id, iam_id)
);
CREATE INDEX access_group_members_by_identity ON access_group_members (iam_id);

-- Which federated users are members while they are logged in.
CREATE TABLE access_group_rules (
    id TEXT PRIMARY KEY,             -- 'ClaimRule-' and a UUID
    group_id TEXT NOT NULL REFERENCES access_groups (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    expiration BIGINT NOT NULL,      -- hours
    realm_name TEXT NOT NULL,
    conditions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX access_group_rules_by_group ON access_group_rules (group_id);

CREATE TABLE policies (
    id TEXT PRIMARY KEY,             -- a UUID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    type TEXT NOT NULL,              -- 'access' or 'authorization'
    subject TEXT NOT NULL,           -- IAM ID or ID of an access group; '' of an authorization
    state TEXT NOT NULL,             -- 'active' or 'deleted'
    document TEXT NOT NULL,          -- in the form of v2, whichever API it came by
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX policies_by_subject ON policies (account_id, subject);

CREATE TABLE custom_roles (
    id TEXT PRIMARY KEY,             -- a UUID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    service_name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    actions TEXT NOT NULL,           -- a list
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (account_id, service_name, name)
);
