-- Dedicated hosts, portable subnets of classic VLANs, and what an account keeps for its infrastructure. Times are milliseconds since
-- the Unix epoch; states of hosts and pools follow from them.

CREATE TABLE dedicated_host_pools (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    flavor_class TEXT NOT NULL,
    metro TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT                -- when the removal was asked for
);
CREATE UNIQUE INDEX dedicated_host_pools_by_name ON dedicated_host_pools (account_id, name) WHERE removed_at IS NULL;

CREATE TABLE dedicated_hosts (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    pool_id TEXT NOT NULL REFERENCES dedicated_host_pools (id) ON DELETE CASCADE,
    flavor TEXT NOT NULL,
    zone TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT,                -- when placement was disabled; NULL: it is enabled
    removed_at BIGINT
);
CREATE INDEX dedicated_hosts_by_pool ON dedicated_hosts (account_id, pool_id);

CREATE TABLE portable_subnets (
    id TEXT PRIMARY KEY,             -- seven digits
    account_id TEXT NOT NULL REFERENCES accounts (id),
    vlan_id TEXT NOT NULL REFERENCES vlans (id),
    cidr TEXT NOT NULL,
    cluster_id TEXT REFERENCES clusters (id) ON DELETE SET NULL,
    UNIQUE (vlan_id, cidr)
);
CREATE INDEX portable_subnets_by_account ON portable_subnets (account_id);
CREATE INDEX portable_subnets_by_cluster ON portable_subnets (cluster_id);

-- Subnets that a user manages. They end with the cluster that they were brought to.
CREATE TABLE user_subnets (
    id TEXT PRIMARY KEY,             -- seven digits
    account_id TEXT NOT NULL REFERENCES accounts (id),
    vlan_id TEXT NOT NULL REFERENCES vlans (id),
    cidr TEXT NOT NULL,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    UNIQUE (vlan_id, cidr)
);
CREATE INDEX user_subnets_by_cluster ON user_subnets (cluster_id);

CREATE TABLE infrastructure_credentials (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    username TEXT NOT NULL,
    digest TEXT NOT NULL,            -- SHA-256 of the API key
    PRIMARY KEY (account_id, region)
);

-- Who reset the API key that the service works with; where nobody did, it is whoever created the cluster.
CREATE TABLE cluster_key_owners (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    region TEXT NOT NULL,
    resource_group_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    PRIMARY KEY (account_id, region, resource_group_id)
);
