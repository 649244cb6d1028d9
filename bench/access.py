"""What it costs to check that a caller may have what they ask for."""

import contextlib
import json
import pathlib
import shutil
import sqlite3
import statistics

from common import LIST, first_answer, load, note, request

POLICIES = 10_000


def member(boatyard, bearer, account):
    """A service ID that may view clusters; returns its API key and IAM ID."""
    headers = bearer | {"Content-Type": "application/json"}
    body = json.dumps({"account_id": account, "name": "bench", "apikey": {"name": "bench"}}).encode()
    made = request(boatyard.url("/v1/serviceids"), body, headers)
    attributes = [{"name": "accountId", "value": account}, {"name": "serviceName", "value": "containers-kubernetes"}]
    policy = {
        "type": "access",
        "subjects": [{"attributes": [{"name": "iam_id", "value": made["iam_id"]}]}],
        "roles": [{"role_id": "crn:v1:bluemix:public:iam::::role:Viewer"}],
        "resources": [{"attributes": attributes}],
    }
    request(boatyard.url("/v1/policies"), json.dumps(policy).encode(), headers)
    return made["apikey"]["apikey"], made["iam_id"]


def multiply(data, iam_id):
    """Gives the service ID policies on thousands of single clusters besides. The server is not running."""
    with contextlib.closing(sqlite3.connect(data / "boatyard.db")) as database, database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM policies WHERE subject = ?", [iam_id]).fetchone())
        names, document = list(row), json.loads(row["document"])
        attributes = document["resource"]["attributes"]
        rows = []
        for number in range(POLICIES - 1):
            instance = {"key": "serviceInstance", "operator": "stringEquals", "value": f"cluster-{number}"}
            document["resource"]["attributes"] = attributes + [instance]
            copy = row | {"id": f"{number:032x}", "document": json.dumps(document)}
            rows.append([copy[name] for name in names])
        places = ", ".join("?" for _ in names)
        database.executemany(f"INSERT INTO policies ({', '.join(names)}) VALUES ({places})", rows)


def measure_access(boatyard, folder, options):
    note(f"verified requests with a warm token, with one policy and with {POLICIES:,} ...")
    few, many = pathlib.Path(folder) / "policies-few", pathlib.Path(folder) / "policies-many"
    with boatyard.serve(few) as process:
        first_answer(boatyard.port, "/_boatyard/health", process)
        credentials = json.loads((few / "credentials.json").read_text())
        bearer = {"Authorization": f"Bearer {boatyard.token(credentials['apikey'])}"}
        apikey, iam_id = member(boatyard, bearer, credentials["account_id"])
        boatyard.one_cluster(bearer["Authorization"].split()[1])
    shutil.copytree(few, many)
    multiply(many, iam_id)
    rates = {few: [], many: []}
    # In turn, so that whatever else the machine does meets both.
    for data in [few, many] * 3:
        with boatyard.serve(data) as process:
            first_answer(boatyard.port, "/_boatyard/health", process)
            token = boatyard.token(apikey)
            load("list.lua", boatyard.url(LIST), 1, TOKEN=token)
            rates[data].append(load("list.lua", boatyard.url(LIST), options.seconds, TOKEN=token)["rate"])
    one, thousands = statistics.median(rates[few]), statistics.median(rates[many])
    return {"one": one, "many": thousands, "ratio": thousands / one}
