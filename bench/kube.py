"""Virtual clusters: how fast one answers that was just created, what it weighs, how fast its objects are written and watched."""

import contextlib
import http.client
import json
import pathlib
import selectors
import shutil
import socket
import sqlite3
import statistics
import threading
import time
import urllib.parse

from common import LIST, Failure, first_answer, note, request, resident
from fleet import create_load, fresh, order, served

CLUSTERS, NODES, WATCHERS = 1_000, 3, 100
MAPS = "/api/v1/namespaces/default/configmaps"
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": {"color": "blue"}}


class Connection:
    """A kept connection; the time of a request is that of the server and not of a handshake."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, bearer, body=None):
        text = None if body is None else json.dumps(body).encode()
        self.http.request(method, path, text, bearer | {"Content-Type": "application/json"})
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status // 100 != 2:
            raise Failure(f"{method} {path} answers {answer.status}: {data[:500]}")
        return json.loads(data)


def server_of(boatyard, bearer, cluster):
    """Path of a cluster's API server, and what its user is authorised by."""
    query = urllib.parse.urlencode({"provider": "vpc-gen2", "cluster": cluster})
    url = request(boatyard.url(f"/global/v2/vpc/getCluster?{query}"), headers=bearer)["masterURL"]
    return urllib.parse.urlsplit(url).path


def user_token(boatyard, bearer, cluster):
    """The ID token that a kubeconfig of the cluster holds; it is good for all clusters of the account."""
    connection = http.client.HTTPConnection("127.0.0.1", boatyard.port, timeout=60)
    connection.request("GET", f"/global/v2/getKubeconfig?cluster={cluster}&format=yaml", headers=bearer)
    text = connection.getresponse().read().decode()
    lines = [line.split(":", 1)[1].strip().strip('"') for line in text.splitlines() if line.strip().startswith("id-token:")]
    if not lines:
        raise Failure(f"the kubeconfig holds no ID token:\n{text}")
    return {"Authorization": f"Bearer {lines[0]}"}


def first_nodes(connection, boatyard, bearer, user, prefix, body, name):
    """Creates a cluster, and asks it for its nodes until it has them all. Seconds."""
    begin = time.perf_counter()
    cluster = connection.ask("POST", "/global/v2/vpc/createCluster", bearer, body | {"name": name})["clusterID"]
    while True:
        nodes = connection.ask("GET", f"{prefix}{cluster}/api/v1/nodes", user)["items"]
        seconds = time.perf_counter() - begin
        if len(nodes) == NODES:
            return seconds
        if seconds > 30:
            raise Failure(f"{name} has {len(nodes)} nodes, and {NODES} are expected")


def measure_many(boatyard, folder):
    note(f"{CLUSTERS:,} virtual clusters ...")
    data = fresh(boatyard, folder, "kube-many")
    with served(boatyard, data) as (process, bearer):
        body, connection = order(boatyard, bearer), Connection(boatyard.port)
        first = connection.ask("POST", "/global/v2/vpc/createCluster", bearer, body | {"name": "first"})["clusterID"]
        path = server_of(boatyard, bearer, first)
        prefix, user = path.removesuffix(first), user_token(boatyard, bearer, first)
        connection.ask("GET", f"{path}/api/v1/nodes", user)
        before = resident(process)
        times = [first_nodes(connection, boatyard, bearer, user, prefix, body, f"c{number}") for number in range(CLUSTERS)]
        after = resident(process)
        if len(request(boatyard.url(LIST), headers=bearer)) != CLUSTERS + 1:
            raise Failure("not all clusters are listed")
    shutil.rmtree(data)
    times.sort()
    return {"median_ms": statistics.median(times) * 1e3, "p99_ms": times[len(times) * 99 // 100] * 1e3, "worst_ms": times[-1] * 1e3,
            "cluster_kb": (after - before) * 1e3 / CLUSTERS}


def commits(folder, seconds):
    """Rows per second that SQLite commits one by one on this disk, each with fsync: what one writer after another could do."""
    path = pathlib.Path(folder) / "limit.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, value TEXT)")
        value, count, begin = json.dumps(MAP), 0, time.perf_counter()
        base = time.monotonic_ns()
        while time.perf_counter() - begin < seconds:
            database.execute("INSERT INTO objects VALUES (?, ?)", (f"{base}-{count}", value))
            count += 1
        return count / (time.perf_counter() - begin)


class Watchers(threading.Thread):
    """Clients that watch, and count events as they come."""

    def __init__(self, port, path, bearer, number):
        super().__init__(daemon=True)
        self.selector, self.counts, self.failed = selectors.DefaultSelector(), [0] * number, None
        self.enough, self.last = float("inf"), time.perf_counter()
        message = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer['Authorization']}\r\n\r\n".encode()
        for index in range(number):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(message)
            head = connection.recv(65_536)
            if not head.startswith(b"HTTP/1.1 200"):
                raise Failure(f"a watch is answered with {head[:500]}")
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, [index, b""])

    def run(self):
        end = time.perf_counter() + 120
        while min(self.counts) < self.enough and time.perf_counter() < end:
            for key, _ in self.selector.select(timeout=0.2):
                try:
                    text = key.fileobj.recv(1 << 20)
                except BlockingIOError:
                    continue
                if not text:
                    self.failed = "a watch has ended"
                    return
                # Each event ends its line; the frames of the answer end theirs otherwise.
                index, rest = key.data
                self.counts[index] += (rest + text).count(b"}\n")
                if b'"type":"ERROR"' in text:
                    self.failed = f"a watch fails: {text[:500]}"
                    return
                key.data[1] = text[-1:]
                self.last = time.perf_counter()

    def all_of(self, number):
        """Waits until every watcher has so many; seconds until then."""
        begin, self.enough = time.perf_counter(), number
        self.join(120)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        if self.failed or min(self.counts) < number:
            raise Failure(self.failed or f"watchers were told of {min(self.counts)} objects out of {number}")
        return max(0.0, self.last - begin)


def watched_load(boatyard, path, body, user, prefix, seconds, number):
    """Objects created per second, and events delivered to all watchers together per second, meanwhile."""
    revision = request(boatyard.url(f"{path}?limit=1"), headers=user)["metadata"]["resourceVersion"]
    watchers = Watchers(boatyard.port, f"{path}?watch=1&timeoutSeconds=600&resourceVersion={revision}", user, number)
    watchers.start()
    result = create_load(boatyard.url(""), path, body, user["Authorization"], prefix, seconds)
    late = watchers.all_of(result["requests"])
    total = sum(watchers.counts)
    return {"created": result["rate"], "events": total / (result["seconds"] + late), "late_s": late}


def measure_one(boatyard, folder, options):
    note("objects created per second on one virtual cluster ...")
    seconds, data = max(2, options.seconds // 2), fresh(boatyard, folder, "kube-one")
    limit = commits(folder, seconds / 2)
    with served(boatyard, data) as (process, bearer):
        body, connection = order(boatyard, bearer), Connection(boatyard.port)
        cluster = connection.ask("POST", "/global/v2/vpc/createCluster", bearer, body | {"name": "one"})["clusterID"]
        path, user = server_of(boatyard, bearer, cluster), user_token(boatyard, bearer, cluster)
        maps = path + MAPS
        before = len(request(boatyard.url(maps), headers=user)["items"])
        warm = create_load(boatyard.url(""), maps, MAP, user["Authorization"], "w", options.warm_up)
        created = create_load(boatyard.url(""), maps, MAP, user["Authorization"], "c", seconds)
        note("watch events delivered per second ...")
        one = watched_load(boatyard, maps, MAP, user, "one-", seconds, 1)
        many = watched_load(boatyard, maps, MAP, user, "many-", seconds, WATCHERS)
        written = request(boatyard.url(f"{maps}?limit=1"), headers=user)["metadata"]
        objects = written["remainingItemCount"] + 1
    limit = max(limit, commits(folder, seconds / 2))
    # The server was killed; what it acknowledged is there when it starts again.
    with boatyard.serve(data) as process:
        first_answer(boatyard.port, "/_boatyard/health", process)
        kept = request(boatyard.url(f"{maps}?limit=1"), headers=user)["metadata"]["remainingItemCount"] + 1
    if kept != objects or objects < before + warm["requests"] + created["requests"]:
        raise Failure(f"{objects} objects were there, and {kept} are when the server was killed and started again")
    shutil.rmtree(data)
    return {"created": created["rate"], "create_p50_ms": created["p50_ms"], "create_p99_ms": created["p99_ms"], "sqlite": limit,
            "watch_1": one, "watch_many": many, "objects": objects}


def measure_kube(boatyard, folder, options):
    return measure_many(boatyard, folder) | measure_one(boatyard, folder, options)
