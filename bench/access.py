"""What it costs to check that a caller may have what they ask for."""

import contextlib
import json
import pathlib
import shutil
import sqlite3
import statistics

from common import LIST, first_answer, load, note, request

POLICIES = 10_000
# A viewer of clusters may not do this, whatever cluster it is about.
DENIED = "/global/v1/clusters/none"


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


def shapes(number):
    """Attributes of policies that look unlike each other: single clusters, places, and patterns that have to be tried one by one."""

    def attribute(key, operator, value):
        return {"key": key, "operator": operator, "value": value}

    return {
        "clusters": attribute("serviceInstance", "stringEquals", f"cluster-{number}"),
        "places": attribute(*[("resourceGroupId", "stringEquals", f"group-{number}"), ("region", "stringEquals", f"r-{number}")][number % 2]),
        "patterns": attribute("resourceGroupId", "stringMatch", f"team-{number}-*"),
    }


def multiply(data, iam_id, shape):
    """Gives the service ID thousands of policies of one shape besides. The server is not running."""
    with contextlib.closing(sqlite3.connect(data / "boatyard.db")) as database, database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM policies WHERE subject = ?", [iam_id]).fetchone())
        names, document = list(row), json.loads(row["document"])
        attributes = document["resource"]["attributes"]
        rows = []
        for number in range(POLICIES - 1):
            document["resource"]["attributes"] = attributes + [shapes(number)[shape]]
            copy = row | {"id": f"{number:032x}", "document": json.dumps(document)}
            rows.append([copy[name] for name in names])
        places = ", ".join("?" for _ in names)
        database.executemany(f"INSERT INTO policies ({', '.join(names)}) VALUES ({places})", rows)


def measure_access(boatyard, folder, options):
    note(f"verified requests with a warm token, allowed and denied, with one policy and with {POLICIES:,} ...")
    few = pathlib.Path(folder) / "policies-few"
    with boatyard.serve(few) as process:
        first_answer(boatyard.port, "/_boatyard/health", process)
        credentials = json.loads((few / "credentials.json").read_text())
        bearer = {"Authorization": f"Bearer {boatyard.token(credentials['apikey'])}"}
        apikey, iam_id = member(boatyard, bearer, credentials["account_id"])
        boatyard.one_cluster(bearer["Authorization"].split()[1])
    stores = {"one": few}
    for shape in shapes(0):
        stores[shape] = pathlib.Path(folder) / f"policies-{shape}"
        shutil.copytree(few, stores[shape])
        multiply(stores[shape], iam_id, shape)
    allowed, denied = {name: [] for name in stores}, {name: [] for name in stores}
    seconds = max(1, options.seconds // 2)
    # In turn, so that whatever else the machine does meets all.
    for name, data in list(stores.items()) * 3:
        with boatyard.serve(data) as process:
            first_answer(boatyard.port, "/_boatyard/health", process)
            token = boatyard.token(apikey)
            load("list.lua", boatyard.url(LIST), 1, TOKEN=token)
            allowed[name].append(load("list.lua", boatyard.url(LIST), seconds, TOKEN=token)["rate"])
            denied[name].append(load("denied.lua", boatyard.url(DENIED), seconds, TOKEN=token)["rate"])
    rates = {name: statistics.median(found) for name, found in allowed.items()}
    refusals = {name: statistics.median(found) for name, found in denied.items()}
    return {
        "one": rates["one"],
        "many": rates["clusters"],
        "ratio": min(rates["clusters"], rates["places"]) / rates["one"],
        "allowed": rates,
        "denied": refusals,
    }
