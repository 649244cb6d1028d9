-- Faults that an administrator ordered, and which workers a lasting one holds.

CREATE TABLE faults (
    id TEXT PRIMARY KEY,             -- f- and four or more characters
    scenario TEXT NOT NULL,          -- the scenario it belongs to, or empty
    target TEXT NOT NULL,            -- what it strikes, as JSON
    effect TEXT NOT NULL,            -- what it does, as JSON
    times BIGINT,                    -- how often it strikes; NULL: without limit
    hits BIGINT NOT NULL,            -- how often it did
    last_hit_at BIGINT,
    probability BIGINT NOT NULL,     -- percent
    starts_at BIGINT NOT NULL,
    expires_at BIGINT,               -- NULL: never
    created_at BIGINT NOT NULL
);

CREATE TABLE fault_holds (
    fault_id TEXT NOT NULL REFERENCES faults (id) ON DELETE CASCADE,
    worker_id TEXT NOT NULL,         -- not a reference: a worker may go before the fault does
    PRIMARY KEY (fault_id, worker_id)
);
