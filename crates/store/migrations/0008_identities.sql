-- What managing identities needs beyond the identities themselves. Times are milliseconds since the Unix epoch, flags are 0 or 1.

ALTER TABLE trusted_profiles ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE trusted_profile_links ADD COLUMN cross_account BIGINT NOT NULL DEFAULT 0;

-- Service IDs that name no group are in the account's default group, which has no row.
CREATE TABLE service_id_groups (
    id TEXT PRIMARY KEY,             -- 'ServiceIdGroup-' and a UUID
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

-- What an identity prefers while it works in an account.
CREATE TABLE identity_preferences (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    iam_id TEXT NOT NULL,
    service TEXT NOT NULL,
    id TEXT NOT NULL,
    value TEXT NOT NULL,             -- JSON: a text or a list of texts
    PRIMARY KEY (account_id, iam_id, service, id)
);
