-- Pools and workers that are gone stay readable for a while: clients wait for `deleted`, not for absence.

-- Most clusters have nothing to do, and are not looked through for those that have.
DROP INDEX clusters_to_wake;
CREATE INDEX clusters_to_wake ON clusters (wake_at) WHERE wake_at IS NOT NULL;

-- Ranges that clusters of one VPC keep apart from each other.
ALTER TABLE clusters ADD COLUMN vpc_id TEXT NOT NULL DEFAULT '';
ALTER TABLE clusters ADD COLUMN pod_subnet TEXT NOT NULL DEFAULT '';
CREATE INDEX clusters_by_vpc ON clusters (vpc_id, pod_subnet);
-- Labels of the Ingress subdomains, which clusters of one account do not share.
ALTER TABLE clusters ADD COLUMN ingress_label TEXT NOT NULL DEFAULT '';
CREATE INDEX clusters_by_ingress_label ON clusters (account_id, ingress_label);

CREATE TABLE new_worker_pools (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT                -- NULL: it exists
);
INSERT INTO new_worker_pools (id, cluster_id, name, spec, created_at, deleted_at)
    SELECT id, cluster_id, name, spec, created_at, NULL FROM worker_pools;

CREATE TABLE new_workers (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    pool_id TEXT NOT NULL REFERENCES new_worker_pools (id) ON DELETE CASCADE,
    zone TEXT NOT NULL,
    network_id TEXT NOT NULL,        -- VPC subnet, or private VLAN
    address TEXT NOT NULL,           -- private IPv4 address
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    work TEXT NOT NULL,              -- what is being done to it: 'deploy', 'reload', 'reboot', 'remove', or '' for nothing
    work_since BIGINT NOT NULL,
    spec TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT                -- NULL: it exists, and holds its address
);
INSERT INTO new_workers (id, cluster_id, pool_id, zone, network_id, address, state, state_since, work, work_since, spec,
    created_at, deleted_at)
    SELECT id, cluster_id, pool_id, zone, network_id, address, state, state_since,
        CASE WHEN state = 'deployed' THEN '' ELSE 'deploy' END, created_at, spec, created_at, NULL FROM workers;

DROP TABLE workers;
DROP TABLE worker_pools;
ALTER TABLE new_worker_pools RENAME TO worker_pools;
ALTER TABLE new_workers RENAME TO workers;

CREATE UNIQUE INDEX worker_pools_by_name ON worker_pools (cluster_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX workers_by_address ON workers (network_id, address) WHERE deleted_at IS NULL;
CREATE INDEX workers_by_cluster ON workers (cluster_id, deleted_at);
CREATE INDEX workers_by_pool ON workers (pool_id);
CREATE INDEX workers_deleted ON workers (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX worker_pools_deleted ON worker_pools (deleted_at) WHERE deleted_at IS NOT NULL;
