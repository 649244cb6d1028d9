#!/usr/bin/env python3
"""Makes the data of this folder from a published Kubernetes module.

    update.py v1.36.3

What is read: api/openapi-spec/swagger.json, api/discovery/aggregated_v2.json and the bootstrap roles of the module `k8s.io/kubernetes`,
and the protobuf definitions and struct tags of the modules its types are in, as `go mod download` brings them. All of it is Apache-2.0,
see NOTICE at the root.
"""

import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
# What is served of it: groups and their versions. Whatever needs machines, or is not stable yet, is left out.
GROUPS = {
    "": ["v1"],
    "admissionregistration.k8s.io": ["v1"],
    "apiextensions.k8s.io": ["v1"],
    "apiregistration.k8s.io": ["v1"],
    "apps": ["v1"],
    "authentication.k8s.io": ["v1"],
    "authorization.k8s.io": ["v1"],
    "autoscaling": ["v2", "v1"],
    "batch": ["v1"],
    "coordination.k8s.io": ["v1"],
    "discovery.k8s.io": ["v1"],
    "events.k8s.io": ["v1"],
    "networking.k8s.io": ["v1"],
    "node.k8s.io": ["v1"],
    "policy": ["v1"],
    "rbac.authorization.k8s.io": ["v1"],
    "scheduling.k8s.io": ["v1"],
    "storage.k8s.io": ["v1"],
}


# Modules that have types of these groups, of which those in PACKAGES are not where the others are.
TYPES = ("api", "apimachinery", "apiextensions-apiserver", "kube-aggregator")
PACKAGES = {
    "": "k8s.io.api.core",
    "apiextensions.k8s.io": "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "k8s.io.kube_aggregator.pkg.apis.apiregistration",
}
META = "k8s.io.apimachinery.pkg.apis.meta.v1"


def archive(name, version):
    # Outside of any module, whose own requirements would count otherwise.
    with tempfile.TemporaryDirectory() as folder:
        command = ["go", "mod", "download", "-json", f"k8s.io/{name}@{version}"]
        finished = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return zipfile.ZipFile(json.loads(finished.stdout)["Zip"])


def module(version):
    files = archive("kubernetes", version)
    root = f"k8s.io/kubernetes@{version}"
    return lambda path: files.read(f"{root}/{path}")


def references(node, found):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str) and value.startswith("#/definitions/"):
                found.add(value.removeprefix("#/definitions/"))
            else:
                references(value, found)
    elif isinstance(node, list):
        for value in node:
            references(value, found)


def served(path):
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        return len(parts) < 2 or parts[1] in GROUPS[""]
    if parts[0] == "apis":
        return len(parts) < 2 or (parts[1] in GROUPS and (len(parts) < 3 or parts[2] in GROUPS[parts[1]]))
    return path == "/version/"


def openapi(read):
    document = json.loads(read("api/openapi-spec/swagger.json"))
    # The watch paths are deprecated in favour of a parameter of lists, but answered, so they stay.
    paths = {path: item for path, item in document["paths"].items() if served(path)}
    wanted, todo = set(), set()
    references(paths, todo)
    references(document["parameters"], todo)
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            references(document["definitions"][name], todo)
    document["paths"] = paths
    document["definitions"] = {name: d for name, d in document["definitions"].items() if name in wanted}
    return document


def discovery(read):
    core = json.loads(read("api/discovery/api__v1.json"))
    items = json.loads(read("api/discovery/aggregated_v2.json"))["items"]
    groups = [{"name": "", "versions": [{"version": "v1", "resources": resources(core["resources"])}]}]
    for item in items:
        name = item["metadata"].get("name", "")
        if name in GROUPS:
            versions = [{"version": v, "resources": resources(json.loads(read(f"api/discovery/apis__{name}__{v}.json"))["resources"])}
                        for v in GROUPS[name]]
            groups.append({"name": name, "versions": versions})
    return {"groups": groups}


def resources(listed):
    """Resources with their subresources inside, as plain discovery tells of them."""
    top = {}
    for resource in listed:
        resource = {key: value for key, value in resource.items() if key != "storageVersionHash"}
        name, _, sub = resource["name"].partition("/")
        if sub:
            resource["name"] = sub
            top[name].setdefault("subresources", []).append(resource)
        else:
            top[name] = resource
    return list(top.values())


def roles(read):
    # YAML is read with the one library that is not of Python itself.
    import yaml
    folder = "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata"
    items = []
    for name in ("cluster-roles", "cluster-role-bindings", "controller-roles", "controller-role-bindings", "namespace-roles",
                 "namespace-role-bindings"):
        items += yaml.safe_load(read(f"{folder}/{name}.yaml"))["items"]
    for item in items:
        item["metadata"].pop("creationTimestamp", None)
    return items


def messages(proto):
    """The messages of a protobuf file: name to (number, name, type, label)."""
    package = re.search(r"^package (\S+);", proto, re.M)[1]
    found = {}
    for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", proto, re.M | re.S):
        fields = found[f"{package}.{name}"] = []
        for label, key, kind, field, number in re.findall(
                r"^  (optional|repeated|map<)\s*(?:(\w+), )?([\w.]+)>? (\w+) = (\d+)", body, re.M):
            if label == "map<":
                assert key == "string", (name, field, key)
            if kind not in SCALARS:
                kind = kind[1:] if kind.startswith(".") else f"{package}.{kind}"
            fields.append((int(number), field, kind, label))
    return package, found


SCALARS = ("string", "bytes", "bool", "int32", "int64", "double")


def structs(sources):
    """What Go says of JSON: type to number to (JSON name, flags), and the types that are lists."""
    found, lists = {}, set()
    for source in sources:
        lists.update(re.findall(r"^type (\w+) \[\]", source, re.M))
        for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", source, re.M | re.S):
            fields = found[name] = {}
            for kind, tags in re.findall(r"^\s+(?!//)(.+?)\s+`(.*?)`", body, re.M):
                number = re.search(r'protobuf:"\w+,(\d+)', tags)
                json_tag = re.search(r'json:"([^"]*)"', tags)
                if number and json_tag:
                    field, *options = json_tag[1].split(",")
                    flags = "i" if "inline" in options else ""
                    # What is not behind a pointer is always sent, and JSON leaves it out if it is empty.
                    if "omitempty" in options and not kind.split()[-1].startswith("*"):
                        flags += "o"
                    fields[int(number[1])] = (field, flags)
    return found, lists


def protobuf(version, discovered):
    """Messages that clients may send, as [number, JSON name, type, flags]: r repeated, m map by text, i inline, o left out if empty, w the
    message is this list."""
    table = {}
    for name in TYPES:
        files = archive(name, version)
        for path in files.namelist():
            if path.endswith("/generated.proto"):
                folder = path.rpartition("/")[0]
                package, found = messages(files.read(path).decode())
                go, lists = structs(files.read(p).decode() for p in files.namelist() if p.rpartition("/")[0] == folder
                                    and p.endswith(".go") and "generated" not in p and not p.endswith("_test.go"))
                for message, fields in found.items():
                    own = message.removeprefix(package + ".")
                    table[message] = [row(field, go.get(own, {}), own in lists) for field in fields]
    packages = {}
    wanted, todo = set(), {f"{META}.DeleteOptions"}
    for group in discovered["groups"]:
        for item in group["versions"]:
            gv = "/".join(filter(None, (group["name"], item["version"])))
            package = PACKAGES.get(group["name"], f"k8s.io.api.{group['name'].split('.')[0]}")
            packages[gv] = f"{package}.{item['version']}"
            for resource in item["resources"]:
                for part in (resource, *resource.get("subresources", ())):
                    group_of, version_of = part.get("group", group["name"]), part.get("version") or item["version"]
                    package = PACKAGES.get(group_of, f"k8s.io.api.{group_of.split('.')[0]}")
                    todo.add(f"{package}.{version_of}.{part['kind']}")
    while todo:
        name = todo.pop()
        if name not in wanted and name in table:
            wanted.add(name)
            todo.update(kind for _, _, kind, _ in table[name] if kind not in SCALARS)
    return {"packages": packages, "messages": {name: table[name] for name in wanted}}


def row(field, go, is_list):
    number, name, kind, label = field
    json_name, flags = go.get(number, (name, ""))
    flags += {"repeated": "r", "map<": "m"}.get(label, "") + ("w" if is_list else "")
    return [number, json_name if json_name not in ("", "-") else name, kind, flags]


def main():
    version = sys.argv[1]
    read = module(version)
    pack = lambda value: gzip.compress(json.dumps(value, separators=(",", ":"), sort_keys=True).encode(), mtime=0)
    (HERE / "openapi.json.gz").write_bytes(pack(openapi(read)))
    (HERE / "roles.json.gz").write_bytes(pack(roles(read)))
    discovered = discovery(read)
    (HERE / "discovery.json").write_text(json.dumps(discovered, indent=1) + "\n")
    # The modules of types are versioned as 0.x of the 1.x that they are part of.
    (HERE / "protobuf.json.gz").write_bytes(pack(protobuf(version.replace("v1.", "v0.", 1), discovered)))
    (HERE / "VERSION").write_text(version + "\n")


main()
