-- One schema for SQLite and PostgreSQL: TEXT and BIGINT only. Times are milliseconds since the Unix epoch, flags are 0 or 1,
-- documents are JSON text. Secrets that only have to be recognised are SHA-256 digests in hexadecimal.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Identity ---------------------------------------------------------------------------------------------------------------

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    pkcs8 TEXT NOT NULL,          -- base64 of the PKCS #8 document
    created_at BIGINT NOT NULL,
    signs BIGINT NOT NULL         -- 1 for the one key that signs; the others only verify
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    owner_iam_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE users (
    iam_id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,   -- lower case
    email TEXT NOT NULL,
    given_name TEXT NOT NULL,
    family_name TEXT NOT NULL,
    password_hash TEXT,              -- argon2id in PHC form; NULL: federated, no password
    created_at BIGINT NOT NULL
);

CREATE TABLE account_members (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    iam_id TEXT NOT NULL REFERENCES users (iam_id),
    added_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, iam_id)
);
CREATE INDEX account_members_by_user ON account_members (iam_id, added_at);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    iam_id TEXT NOT NULL REFERENCES users (iam_id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE refresh_tokens (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,              -- 'refresh' or 'delegated'
    iam_id TEXT NOT NULL REFERENCES users (iam_id),
    account_id TEXT,                 -- NULL: not scoped to an account
    client_id TEXT NOT NULL,         -- the client that may use it
    session_id TEXT NOT NULL,
    grant_type TEXT NOT NULL,        -- of the login at the start of the session
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

CREATE TABLE passcodes (
    digest TEXT PRIMARY KEY,
    iam_id TEXT NOT NULL REFERENCES users (iam_id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE resource_groups (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

-- Networks ---------------------------------------------------------------------------------------------------------------

CREATE TABLE vpcs (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    resource_group_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

CREATE TABLE subnets (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    vpc_id TEXT NOT NULL REFERENCES vpcs (id),
    name TEXT NOT NULL,
    zone TEXT NOT NULL,
    cidr TEXT NOT NULL,
    UNIQUE (vpc_id, name)
);
CREATE INDEX subnets_by_account ON subnets (account_id, vpc_id, zone);

CREATE TABLE vlans (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    datacenter TEXT NOT NULL,
    type TEXT NOT NULL,              -- 'public' or 'private'
    number BIGINT NOT NULL,
    router TEXT NOT NULL,
    cidr TEXT NOT NULL               -- addresses of the workers on it
);
CREATE INDEX vlans_by_account ON vlans (account_id, datacenter);

-- Clusters ---------------------------------------------------------------------------------------------------------------

CREATE TABLE clusters (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    provider TEXT NOT NULL,          -- 'classic' or 'vpc-gen2'
    region TEXT NOT NULL,
    resource_group_id TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    desired TEXT NOT NULL,           -- 'present' or 'absent'
    spec TEXT NOT NULL,              -- what was asked for, as JSON
    status TEXT NOT NULL,            -- what was observed, as JSON
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    wake_at BIGINT,                  -- when the reconciler looks again; NULL: nothing to do
    revision BIGINT NOT NULL,        -- counts changes; a writer names the one it read
    UNIQUE (account_id, name)
);
CREATE INDEX clusters_to_wake ON clusters (wake_at);

CREATE TABLE worker_pools (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (cluster_id, name)
);

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    pool_id TEXT NOT NULL REFERENCES worker_pools (id) ON DELETE CASCADE,
    zone TEXT NOT NULL,
    network_id TEXT NOT NULL,        -- VPC subnet, or private VLAN
    address TEXT NOT NULL,           -- private IPv4 address
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    spec TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (network_id, address)
);
CREATE INDEX workers_by_cluster ON workers (cluster_id);
