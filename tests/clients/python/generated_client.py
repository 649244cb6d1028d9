"""Lists clusters with a client that openapi-python-client generated from the served document.

Run by tests/generated_client.rs; the folder of the generated package is the argument.
"""

import os
import ssl
import sys

sys.path.insert(0, sys.argv[1])

from boatyard_containers import AuthenticatedClient, Client  # noqa: E402
from boatyard_containers.api.v1 import get_clusters  # noqa: E402
from boatyard_containers.api.v2 import classic_get_clusters, vpc_get_clusters  # noqa: E402

endpoint = os.environ["ENDPOINT"]
trust = ssl.create_default_context(cafile=os.environ["CA_FILE"])
client = AuthenticatedClient(base_url=endpoint, token=os.environ["TOKEN"], verify_ssl=trust)


def names(response):
    assert response.status_code == 200, response.content
    return [(cluster.name, cluster.provider, cluster.state) for cluster in response.parsed]


vpc = names(vpc_get_clusters.sync_detailed(client=client, provider="vpc-gen2"))
assert vpc == [("generated-vpc", "vpc-gen2", "normal")], vpc
classic = names(classic_get_clusters.sync_detailed(client=client))
assert classic == [("generated-classic", "classic", "normal")], classic
version_1 = get_clusters.sync_detailed(client=client)
assert [cluster.name for cluster in version_1.parsed] == ["generated-classic"], version_1.content

nobody = Client(base_url=endpoint, verify_ssl=trust)
refused = vpc_get_clusters.sync_detailed(client=nobody)
assert refused.status_code == 401, refused
print("listed", [name for name, *_ in vpc + classic])
