-- What was written through the Kubernetes API of virtual clusters. Times are milliseconds since the Unix epoch.

CREATE TABLE kube_clusters (
    cluster_id TEXT PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE,
    revision BIGINT NOT NULL,        -- the newest resourceVersion; a writer names the one it read
    wake_at BIGINT                   -- when controllers look again; NULL: nothing to wait for
);
CREATE INDEX kube_clusters_to_wake ON kube_clusters (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE kube_objects (
    cluster_id TEXT NOT NULL REFERENCES kube_clusters (cluster_id) ON DELETE CASCADE,
    resource TEXT NOT NULL,          -- 'pods', 'deployments.apps'
    namespace TEXT NOT NULL,         -- '' for what is in none
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    value TEXT,                      -- JSON; NULL: something that every cluster begins with was deleted
    PRIMARY KEY (cluster_id, resource, namespace, name)
);

-- Secrets stand apart, since they are sealed.
CREATE TABLE kube_secrets (
    id TEXT PRIMARY KEY,             -- cluster, namespace and name with slashes between
    cluster_id TEXT NOT NULL REFERENCES kube_clusters (cluster_id) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    value TEXT                       -- sealed
);
CREATE INDEX kube_secrets_by_cluster ON kube_secrets (cluster_id);

-- Secrets of the installation itself, shared by its replicas.
CREATE TABLE installation_secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL              -- sealed
);
