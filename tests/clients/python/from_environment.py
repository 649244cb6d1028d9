"""A service that takes address, credentials and trust from the environment, as `boatyard env` sets them.

Run by tests/cli.rs.
"""

from ibm_cloud_sdk_core import BaseService, get_authenticator_from_environment


class Clusters(BaseService):
    pass


service = Clusters(authenticator=get_authenticator_from_environment("kubernetes_service_api"))
service.configure_service("kubernetes_service_api")
response = service.send(service.prepare_request(method="GET", url="/v2/clusters"))
assert response.get_status_code() == 200, response
assert isinstance(response.get_result(), list), response
print("listed")
