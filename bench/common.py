"""What every measurement needs: processes that end, requests that succeed, loads by wrk, and the server itself."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
CACHE = pathlib.Path(os.environ.get("BOATYARD_BENCH_CACHE", TARGET / "bench-peers"))
CORES = len(os.sched_getaffinity(0))
CONNECTIONS = 16
LIST = "/global/v2/vpc/getClusters"


class Failure(Exception):
    """Something that makes the numbers worthless; the message is for whoever ran this."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def need(tool, package):
    if shutil.which(tool) is None:
        raise Failure(f"{tool} is not installed, and nothing can be measured without it: apt-get install {package}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(url, data=None, headers=None):
    """The JSON of an answer that must be a success."""
    body = urllib.parse.urlencode(data).encode() if isinstance(data, list) else data
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, headers or {}), timeout=30) as answer:
        if answer.status // 100 != 2:
            raise Failure(f"{url} answers {answer.status}")
        return json.loads(answer.read() or b"null")


def first_answer(port, path, process, expected=b"HTTP/1.1 200", deadline=60.0):
    """Asks until there is an answer that begins as expected, without pausing for longer than half a millisecond."""
    message = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    end = time.perf_counter() + deadline
    while time.perf_counter() < end:
        if process.poll() is not None:
            raise Failure(f"{process.args[0]} ended with status {process.returncode} before it answered")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(message)
                if connection.recv(64).startswith(expected):
                    return
        except OSError:
            pass
        time.sleep(0.0005)
    raise Failure(f"{process.args[0]} did not answer within {deadline:.0f} s")


@contextlib.contextmanager
def running(command, log, **options):
    """A process that is gone at the end, whatever happens. Its standard input stays open for as long."""
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, **options)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdin.close()


class Boatyard:
    """How the server is started, and what is asked of it."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.port = str(binary), pathlib.Path(folder), free_port()

    def serve(self, data):
        foreign = ("BOATYARD_", "IBMCLOUD_")
        environment = {n: v for n, v in os.environ.items() if not n.startswith(foreign)} | {"HOME": str(self.folder)}
        command = [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(data), "--pace", "instant"]
        command += ["--log-format", "json", "--die-with-stdin"]
        return running(command, self.folder / "server.log", env=environment)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def started(self, data):
        """Seconds from the start of the process to its first answer."""
        begin = time.perf_counter()
        with self.serve(data) as process:
            first_answer(self.port, "/_boatyard/health", process)
            return time.perf_counter() - begin

    def token(self, apikey):
        fields = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", apikey)]
        return request(self.url("/identity/token"), fields)["access_token"]

    def one_cluster(self, token):
        """Sees to it that the account has one VPC cluster, and that it is normal."""
        bearer = {"Authorization": f"Bearer {token}"}
        vpc = request(self.url("/global/v2/vpc/getVPCs?provider=vpc-gen2"), headers=bearer)[0]
        zone = vpc["zones"][0]
        query = urllib.parse.urlencode({"provider": "vpc-gen2", "vpc": vpc["id"], "zone": zone})
        subnet = request(self.url(f"/global/v2/vpc/getSubnets?{query}"), headers=bearer)[0]
        zones = [{"id": zone, "subnetID": subnet["id"]}]
        pool = {"flavor": "bx2.4x16", "workerCount": 2, "vpcID": vpc["id"], "zones": zones}
        order = {"name": "bench", "provider": "vpc-gen2", "workerPool": pool}
        request(self.url("/global/v2/vpc/createCluster"), json.dumps(order).encode(), bearer | {"Content-Type": "application/json"})
        end = time.monotonic() + 30
        while request(self.url(LIST), headers=bearer)[0]["state"] != "normal":
            if time.monotonic() > end:
                raise Failure("the cluster does not become normal")
            time.sleep(0.05)


def resident(process):
    """Resident memory of a process in MB (10^6 bytes)."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) * 1024 / 1e6


def load(script, url, seconds, **environment):
    """One wrk run; every answer must be a success."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / script), url]
    environment = os.environ | {"BENCH_DIR": str(HERE)} | environment
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    found = re.search(r"^RESULT (.*)$", finished.stdout, re.M)
    if finished.returncode or not found:
        raise Failure(f"wrk fails on {url}:\n{finished.stdout}{finished.stderr}")
    result = json.loads(found[1])
    if result["failed"] or result["unanswered"] or not result["requests"]:
        raise Failure(f"not every request to {url} was answered with success: {result}")
    result["rate"] = result["requests"] / result["seconds"]
    return result
