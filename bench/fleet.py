"""How many clusters can be made, and what it costs to have many."""

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from common import CACHE, LIST, Failure, first_answer, free_port, load, need, note, request, resident, running

MOTO = "5.2.5"
# An account that other tools' calls are signed for; moto_server reads the service from it and checks nothing.
SIGNED = "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/eks/aws4_request, SignedHeaders=host, Signature=0"
MANY, FEW, OWN = 100_000, 100, 10


def wide_networks(data):
    """Gives each default subnet the quarter of 10.240.0.0/16 that it lies in: thousands of workers want addresses."""
    with contextlib.closing(sqlite3.connect(data / "boatyard.db")) as database, database:
        database.execute("UPDATE subnets SET cidr = replace(cidr, '/24', '/18')")


def fresh(boatyard, folder, name):
    """A data folder that a server was started on once."""
    data = pathlib.Path(folder) / name
    boatyard.started(data)
    wide_networks(data)
    return data


@contextlib.contextmanager
def served(boatyard, data):
    with boatyard.serve(data) as process:
        first_answer(boatyard.port, "/_boatyard/health", process)
        token = boatyard.token(json.loads((data / "credentials.json").read_text())["apikey"])
        yield process, {"Authorization": f"Bearer {token}"}


def order(boatyard, bearer):
    """A cluster with one worker in each of three zones."""
    vpc = request(boatyard.url("/global/v2/vpc/getVPCs?provider=vpc-gen2"), headers=bearer)[0]
    zones = []
    for zone in vpc["zones"]:
        query = urllib.parse.urlencode({"provider": "vpc-gen2", "vpc": vpc["id"], "zone": zone})
        subnet = request(boatyard.url(f"/global/v2/vpc/getSubnets?{query}"), headers=bearer)[0]
        zones.append({"id": zone, "subnetID": subnet["id"]})
    pool = {"flavor": "bx2.4x16", "workerCount": 1, "vpcID": vpc["id"], "zones": zones}
    return {"name": "NAME", "provider": "vpc-gen2", "workerPool": pool}


def create_load(url, path, body, authorization, prefix, seconds):
    environment = {"ORDER": json.dumps(body), "PREFIX": prefix, "ORDER_PATH": path, "AUTHORIZATION": authorization}
    return load("create.lua", url, seconds, **environment)


def moto_server():
    """The pinned moto, installed once."""
    need("python3", "python3")
    folder = CACHE / f"moto-{MOTO}-py{sys.version_info.major}.{sys.version_info.minor}"
    if not folder.exists():
        note("installing moto ...")
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
            pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", f"moto[eks,server]=={MOTO}"]
            subprocess.run(pip, check=True, stdout=sys.stderr)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder / "bin/moto_server"


def moto_creates(folder, options):
    port = free_port()
    command = [str(moto_server()), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, pathlib.Path(folder) / "moto.log", env=os.environ | {"PYTHONWARNINGS": "ignore"}) as process:
        first_answer(port, "/moto-api/", process)
        url = f"http://127.0.0.1:{port}"
        body = {"name": "NAME", "roleArn": "arn:aws:iam::123456789012:role/bench", "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}}
        create_load(url, "/clusters", body, SIGNED, "warm", options.warm_up)
        result = create_load(url, "/clusters", body, SIGNED, "c", options.seconds)
        # wrk makes up one request to look at before it sends any.
        first = request(f"{url}/clusters/c2", headers={"Authorization": SIGNED})
        if first["cluster"]["status"] != "ACTIVE":
            raise Failure(f"moto's cluster is {first['cluster']['status']}")
        return result["rate"]


def measure_creates(boatyard, folder, options):
    note("clusters created per second ...")
    data = fresh(boatyard, folder, "creates")
    with served(boatyard, data) as (_, bearer):
        body, path = order(boatyard, bearer), "/global/v2/vpc/createCluster"
        warm = create_load(boatyard.url(""), path, body, bearer["Authorization"], "w", options.warm_up)
        result = create_load(boatyard.url(""), path, body, bearer["Authorization"], "c", options.seconds)
        clusters = request(boatyard.url(LIST), headers=bearer)
        unfinished = [cluster for cluster in clusters if cluster["state"] != "normal" or cluster["workerCount"] != 3]
        if unfinished or len(clusters) < warm["requests"] + result["requests"]:
            raise Failure(f"{len(clusters)} clusters are listed, of which {len(unfinished)} are not normal with three workers")
    shutil.rmtree(data)
    note("clusters created per second, by moto_server ...")
    moto = moto_creates(folder, options)
    return {"rate": result["rate"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"], "moto": moto, "factor": result["rate"] / moto}


def columns(database, table):
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def clone(database, table, rows):
    names = columns(database, table)
    places = ", ".join("?" for _ in names)
    database.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", ([row[n] for n in names] for row in rows))


def fill(data, wanted):
    """Copies the clusters there are into other accounts, until the store holds as many as wanted. The server is not running."""
    with contextlib.closing(sqlite3.connect(data / "boatyard.db")) as database, database:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = OFF")
        one = lambda table, where="1": [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {where}")]
        account, group = one("accounts")[0], one("resource_groups")[0]
        cluster = one("clusters")[0]
        pool, workers = one("worker_pools", f"cluster_id = '{cluster['id']}'")[0], one("workers", f"cluster_id = '{cluster['id']}'")
        missing, step = wanted - len(one("clusters")), 100
        for start in range(0, missing, step):
            number = start // step
            owner = f"{number:032x}"
            clone(database, "accounts", [account | {"id": owner, "name": f"account-{number}"}])
            clone(database, "resource_groups", [group | {"id": f"{number:031x}g", "account_id": owner}])
            for index in range(start, min(start + step, missing)):
                own = f"f{index:019d}"
                clone(database, "clusters", [cluster | {
                    "id": own, "account_id": owner, "name": f"c{index}", "resource_group_id": f"{number:031x}g",
                    "vpc_id": f"v{number}", "ingress_label": f"l{index}"}])
                clone(database, "worker_pools", [pool | {"id": f"{own}-pool", "cluster_id": own}])
                clone(database, "workers", [worker | {
                    "id": f"kube-{own}-c-default-{place:08x}", "cluster_id": own, "pool_id": f"{own}-pool",
                    "network_id": f"n{number}", "address": f"10.{index % step}.0.{place + 4}"} for place, worker in enumerate(workers)])


def timed_lists(boatyard, bearer, label, again):
    """Median milliseconds of a list just after a write, or when nothing was written since the last."""
    times = []
    for number in range(300):
        if not again:
            change = {"cluster": label, "workerpool": "default", "labels": {"n": str(number)}}
            body = json.dumps(change).encode()
            request(boatyard.url("/global/v2/setWorkerPoolLabels"), body, bearer | {"Content-Type": "application/json"})
        begin = time.perf_counter()
        clusters = request(boatyard.url(LIST), headers=bearer)
        times.append((time.perf_counter() - begin) * 1e3)
        if len(clusters) != OWN:
            raise Failure(f"the account has {OWN} clusters, and {len(clusters)} are listed")
    return statistics.median(times[20:])


def measure_scale(boatyard, folder, options):
    results = {}
    for name, clusters in (("small", FEW), ("large", MANY)):
        note(f"an account with {OWN} clusters among {clusters:,} ...")
        data = fresh(boatyard, folder, name)
        with served(boatyard, data) as (_, bearer):
            body = order(boatyard, bearer)
            for number in range(OWN):
                text = json.dumps(body | {"name": f"own-{number}"}).encode()
                request(boatyard.url("/global/v2/vpc/createCluster"), text, bearer | {"Content-Type": "application/json"})
        fill(data, clusters)
        starts = [boatyard.started(data) for _ in range(options.starts)]
        with served(boatyard, data) as (process, bearer):
            memory = resident(process)
            results[name] = {
                "start": statistics.median(starts),
                "memory": memory,
                "after_write_ms": timed_lists(boatyard, bearer, "own-0", again=False),
                "again_ms": timed_lists(boatyard, bearer, "own-0", again=True),
            }
        shutil.rmtree(data)
    results["ratio"] = results["large"]["after_write_ms"] / results["small"]["after_write_ms"]
    return results
