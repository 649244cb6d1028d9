"""ibm-cloud-sdk-core for Python as its users write it: an authenticator, a service, a call.

Run by tests/sdk_python.rs with the address and the credentials of a server in the environment. REQUESTS_CA_BUNDLE points at
the server's authority. Any failed assertion ends the program with a traceback.
"""

import base64
import json
import os
import time
import unittest.mock

import requests
from ibm_cloud_sdk_core import ApiException, BaseService
from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator, NoAuthAuthenticator

ENDPOINT = os.environ["ENDPOINT"]
APIKEY = os.environ["APIKEY"]
ACCOUNT_ID = os.environ["ACCOUNT_ID"]
ADMINISTRATOR_APIKEY = os.environ["ADMINISTRATOR_APIKEY"]
CA_FILE = os.environ["CA_FILE"]


class Clusters(BaseService):
    """What a generated service does: prepare a request, send it, hand back the result."""

    def __init__(self, authenticator, url=ENDPOINT + "/global"):
        super().__init__(service_url=url, authenticator=authenticator)

    def names(self, path, **params):
        response = self.send(self.prepare_request(method="GET", url=path, params=params))
        assert response.get_status_code() == 200
        return sorted(cluster["name"] for cluster in response.get_result())


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def lists_clusters(service):
    assert service.names("/v2/vpc/getClusters", provider="vpc-gen2") == ["sdk-vpc"]
    assert service.names("/v2/classic/getClusters") == ["sdk-classic"]
    assert service.names("/v2/clusters") == ["sdk-classic", "sdk-vpc"]
    assert service.names("/v1/clusters") == ["sdk-classic"]


def advance_both_clocks(seconds):
    """Moves the server's clock and, for the rest of this program, Python's. The SDK compares a token's dates with its own."""
    authenticator = IAMAuthenticator(ADMINISTRATOR_APIKEY, url=ENDPOINT)
    admin = BaseService(service_url=ENDPOINT, authenticator=authenticator)
    admin.send(admin.prepare_request(method="POST", url="/_boatyard/clock", data={"advance_seconds": seconds}))
    global ahead
    ahead += seconds


ahead = 0
system_time = time.time
unittest.mock.patch("time.time", lambda: system_time() + ahead).start()


def api_key_without_client():
    authenticator = IAMAuthenticator(APIKEY, url=ENDPOINT)
    lists_clusters(Clusters(authenticator))
    token = authenticator.token_manager.get_token()
    assert claims(token)["client_id"] == "default", claims(token)
    assert claims(token)["account"]["bss"] == ACCOUNT_ID
    assert authenticator.token_manager.get_token() == token, "a token that is good is used again"
    assert authenticator.token_manager.expire_time == claims(token)["exp"]


def api_key_as_client_bx():
    authenticator = IAMAuthenticator(APIKEY, url=ENDPOINT + "/identity/token", client_id="bx", client_secret="bx", scope="ibm openid")
    lists_clusters(Clusters(authenticator))
    token = authenticator.token_manager.get_token()
    assert claims(token)["client_id"] == "bx", claims(token)
    assert authenticator.token_manager.refresh_token not in (None, "", "not_supported")


def bearer_token():
    token = IAMAuthenticator(APIKEY, url=ENDPOINT).token_manager.get_token()
    lists_clusters(Clusters(BearerTokenAuthenticator(token)))


def no_authentication():
    keys = BaseService(service_url=ENDPOINT, authenticator=NoAuthAuthenticator())
    result = keys.send(keys.prepare_request(method="GET", url="/identity/keys")).get_result()
    assert result["keys"] and all(key["kty"] == "RSA" and key["alg"] == "RS256" for key in result["keys"])
    try:
        Clusters(NoAuthAuthenticator()).names("/v2/clusters")
        raise SystemExit("clusters were listed without a token")
    except ApiException as error:
        assert error.status_code == 401, error


def without_verification():
    bundle = os.environ.pop("REQUESTS_CA_BUNDLE")
    try:
        try:
            IAMAuthenticator(APIKEY, url=ENDPOINT).token_manager.get_token()
            raise SystemExit("a certificate of an unknown authority was accepted")
        except requests.exceptions.SSLError:
            pass
        authenticator = IAMAuthenticator(APIKEY, url=ENDPOINT, disable_ssl_verification=True)
        service = Clusters(authenticator)
        service.set_disable_ssl_verification(True)
        lists_clusters(service)
    finally:
        os.environ["REQUESTS_CA_BUNDLE"] = bundle


def plain_http():
    plain = ENDPOINT.replace("https://", "http://")
    lists_clusters(Clusters(IAMAuthenticator(APIKEY, url=plain), url=plain + "/global"))


def wrong_key():
    authenticator = IAMAuthenticator(APIKEY[:-4] + "0000", url=ENDPOINT)
    try:
        authenticator.token_manager.get_token()
        raise SystemExit("a wrong API key was accepted")
    except ApiException as error:
        assert error.status_code == 400, error
        assert "API key could not be found" in error.message, error.message
        assert error.http_response.json()["errorCode"] == "BXNIM0415E"


def refreshes_in_the_last_fifth_of_a_tokens_life():
    authenticator = IAMAuthenticator(APIKEY, url=ENDPOINT)
    service = Clusters(authenticator)
    lists_clusters(service)
    first = authenticator.token_manager.get_token()
    advance_both_clocks(3000)
    lists_clusters(service)
    second = authenticator.token_manager.get_token()
    assert claims(second)["iat"] >= claims(first)["iat"] + 3000, "the token was not refreshed ahead of its end"


def replaces_an_expired_token():
    authenticator = IAMAuthenticator(APIKEY, url=ENDPOINT, client_id="bx", client_secret="bx")
    service = Clusters(authenticator)
    lists_clusters(service)
    first = authenticator.token_manager.get_token()
    advance_both_clocks(3601)
    try:
        Clusters(BearerTokenAuthenticator(first)).names("/v2/clusters")
        raise SystemExit("an expired token was accepted")
    except ApiException as error:
        assert error.status_code == 401, error
    lists_clusters(service)
    assert authenticator.token_manager.get_token() != first


for scenario in (
    api_key_without_client,
    api_key_as_client_bx,
    bearer_token,
    no_authentication,
    without_verification,
    plain_http,
    wrong_key,
    refreshes_in_the_last_fifth_of_a_tokens_life,
    replaces_an_expired_token,
):
    scenario()
    print("ok:", scenario.__name__)
