#!/usr/bin/env bash
# The documented walkthrough in plain curl. Only the hosts differ from the document: iam.cloud.ibm.com, accounts.cloud.ibm.com
# and containers.cloud.ibm.com are one server here. Each step prints its name; the first wrong answer ends the script.
#
# Needs ENDPOINT, CA_FILE, IBMCLOUD_USERNAME, IBMCLOUD_PASSWORD and APIKEY in the environment, and curl, python3 and unzip.
set -euo pipefail

IAM=$ENDPOINT
ACCOUNTS=$ENDPOINT
CONTAINERS=$ENDPOINT
export CURL_CA_BUNDLE=$CA_FILE

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A refusal ends the script and shows its body.
curl() { command curl --silent --show-error --fail-with-body --max-time 60 --noproxy '*' "$@"; }

step() { printf '== %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# The value of a Python expression over the JSON `r` on standard input; strings are printed bare.
value() { python3 -c 'import json, sys; r = json.load(sys.stdin); v = eval(sys.argv[1]); print(v if isinstance(v, str) else json.dumps(v))' "$1"; }

# check WHAT JSON EXPRESSION: the expression over `r` must be true.
check() {
    python3 -c 'import json, re, sys, time; r = json.loads(sys.argv[1]); sys.exit(0 if eval(sys.argv[2]) else 1)' "$2" "$3" ||
        fail "$1: expected $3 of $2"
    printf '   ok: %s\n' "$1"
}

# What the document shows of a token answer.
check_token() {
    check "$1: token type, life of one hour, expiration in Unix seconds" "$2" \
        'r["token_type"] == "Bearer" and r["expires_in"] == 3600 and type(r["expiration"]) is int and abs(r["expiration"] - time.time() - 3600) < 300'
    check "$1: an access token and a refresh token" "$2" 'r["access_token"].count(".") == 2 and len(r["refresh_token"]) > 10'
}

# The document's example for `response_type: cloud_iam uaa` adds these.
check_uaa() {
    check "$1: UAA tokens" "$2" 'r["uaa_token"] and r["uaa_refresh_token"] and r["scope"] == "ibm openid"'
}

# claim TOKEN EXPRESSION: the value of an expression over the claims of a token.
claim() {
    python3 -c 'import base64, json, sys; p = sys.argv[1].split(".")[1]; r = json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))); print(eval(sys.argv[2]))' "$1" "$2"
}

step "Step 1, user name and password: create an IAM access token"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=password" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "username=$IBMCLOUD_USERNAME" \
    --data-urlencode "password=$IBMCLOUD_PASSWORD" \
    --data-urlencode "uaa_client_id=cf" \
    --data-urlencode "uaa_client_secret=")
check_token password "$tokens"
check_uaa password "$tokens"
password_token=$(value 'r["access_token"]' <<<"$tokens")
password_refresh_token=$(value 'r["refresh_token"]' <<<"$tokens")

step "Step 1, API key: create an IAM access token"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=urn:ibm:params:oauth:grant-type:apikey" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "apikey=$APIKEY" \
    --data-urlencode "uaa_client_id=cf" \
    --data-urlencode "uaa_client_secret=")
check_token "API key" "$tokens"
check_uaa "API key" "$tokens"
apikey_token=$(value 'r["access_token"]' <<<"$tokens")

step "Step 1, one-time passcode: get a passcode, create an IAM access token"
new_passcode() {
    curl -X POST "$IAM/identity/passcode" \
        -H "Content-Type: application/x-www-form-urlencoded" \
        -H "Authorization: Basic Yng6Yng=" \
        --data-urlencode "grant_type=refresh_token" \
        --data-urlencode "refresh_token=$password_refresh_token" \
        --data-urlencode "response_type=cloud_iam" | value 'r["passcode"]'
}
passcode=$(new_passcode)
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=urn:ibm:params:oauth:grant-type:passcode" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "passcode=$passcode" \
    --data-urlencode "uaa_client_id=cf" \
    --data-urlencode "uaa_client_secret=")
check_token passcode "$tokens"
check_uaa passcode "$tokens"
passcode_token=$(value 'r["access_token"]' <<<"$tokens")

step "Step 2: retrieve the ID of the account"
for token in "$password_token" "$apikey_token" "$passcode_token"; do
    accounts=$(curl "$ACCOUNTS/coe/v2/accounts" \
        -H "Content-Type: application/json" \
        -H "Authorization: bearer $token" \
        -H "Accept: application/json")
    check "one page with the caller's accounts" "$accounts" \
        'r["next_url"] is None and r["total_results"] == len(r["resources"]) >= 1'
    check "ID, address and dates of an account" "$accounts" \
        'all(a["metadata"]["url"] == "/coe/v2/accounts/" + a["metadata"]["guid"] and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", a["metadata"][d]) for d in ("created_at", "updated_at")) for a in r["resources"])'
    check "name of an account" "$accounts" 'all(a["entity"]["name"] for a in r["resources"])'
done
account=$(value 'r["resources"][0]["metadata"]["guid"]' <<<"$accounts")

step "Step 3, user name and password: create a token for the account"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=password" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "username=$IBMCLOUD_USERNAME" \
    --data-urlencode "password=$IBMCLOUD_PASSWORD" \
    --data-urlencode "uaa_client_ID=cf" \
    --data-urlencode "uaa_client_secret=" \
    --data-urlencode "bss_account=$account")
check_token "password with account" "$tokens"
refresh_token=$(value 'r["refresh_token"]' <<<"$tokens")
password_token=$(value 'r["access_token"]' <<<"$tokens")

step "Step 3, API key: create a token for the account"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=urn:ibm:params:oauth:grant-type:apikey" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "apikey=$APIKEY" \
    --data-urlencode "uaa_client_ID=cf" \
    --data-urlencode "uaa_client_secret=" \
    --data-urlencode "bss_account=$account")
check_token "API key with account" "$tokens"
apikey_token=$(value 'r["access_token"]' <<<"$tokens")

step "Step 3, one-time passcode: create a token for the account"
passcode=$(new_passcode)
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=urn:ibm:params:oauth:grant-type:passcode" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "passcode=$passcode" \
    --data-urlencode "uaa_client_ID=cf" \
    --data-urlencode "uaa_client_secret=" \
    --data-urlencode "bss_account=$account")
check_token "passcode with account" "$tokens"
passcode_token=$(value 'r["access_token"]' <<<"$tokens")

for token in "$password_token" "$apikey_token" "$passcode_token"; do
    [ "$(claim "$token" 'r["account"]["bss"]')" = "$account" ] || fail "a token is not scoped to $account"
done
iam_token=$password_token

step "Step 4: list the clusters of an empty account"
check "no classic cluster yet" "$(curl "$CONTAINERS/global/v2/classic/getClusters" -H "Authorization: bearer $iam_token")" 'r == []'
check "no VPC cluster yet" \
    "$(curl "$CONTAINERS/global/v2/vpc/getClusters?provider=vpc-gen2" -H "Authorization: bearer $iam_token")" 'r == []'

step "Create a classic cluster (version 1)"
vlans=$(curl "$CONTAINERS/global/v1/datacenters/dal10/vlans" -H "Authorization: bearer $iam_token")
public_vlan=$(value 'next(v["id"] for v in r if v["type"] == "public")' <<<"$vlans")
private_vlan=$(value 'next(v["id"] for v in r if v["type"] == "private")' <<<"$vlans")
created=$(curl -X POST "$CONTAINERS/global/v1/clusters" \
    -H "Content-Type: application/json" \
    -H "Authorization: bearer $iam_token" \
    -H "X-Auth-Resource-Group: " \
    -d '{"name": "walk-classic", "dataCenter": "dal10", "machineType": "b3c.4x16", "isolation": "public", "workerNum": 2,
         "publicVlan": "'"$public_vlan"'", "privateVlan": "'"$private_vlan"'"}')
classic=$(value 'r["id"]' <<<"$created")

step "Create a VPC cluster (version 2)"
vpcs=$(curl "$CONTAINERS/global/v2/vpc/getVPCs?provider=vpc-gen2" -H "Authorization: bearer $iam_token")
vpc=$(value 'r[0]["id"]' <<<"$vpcs")
zone=$(value 'r[0]["zones"][0]' <<<"$vpcs")
subnets=$(curl "$CONTAINERS/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc=$vpc&zone=$zone" -H "Authorization: bearer $iam_token")
subnet=$(value 'r[0]["id"]' <<<"$subnets")
created=$(curl -X POST "$CONTAINERS/global/v2/vpc/createCluster" \
    -H "Content-Type: application/json" \
    -H "Authorization: bearer $iam_token" \
    -H "X-Auth-Resource-Group: " \
    -d '{"name": "walk-vpc", "provider": "vpc-gen2",
         "workerPool": {"flavor": "bx2.4x16", "workerCount": 2, "vpcID": "'"$vpc"'",
                        "zones": [{"id": "'"$zone"'", "subnetID": "'"$subnet"'"}]}}')
vpc_cluster=$(value 'r["clusterID"]' <<<"$created")

step "Wait until both are normal"
for cluster in "$classic" "$vpc_cluster"; do
    for attempt in $(seq 600); do
        details=$(curl "$CONTAINERS/global/v2/getCluster?cluster=$cluster" -H "Authorization: bearer $iam_token")
        state=$(value 'r["state"]' <<<"$details")
        [ "$state" = normal ] && break
        [ "$attempt" = 600 ] && fail "$cluster is still $state"
        sleep 0.1
    done
    check "$cluster: two workers" "$details" 'r["workerCount"] == 2'
done

step "Step 4: list the classic and the VPC clusters"
classic_list=$(curl "$CONTAINERS/global/v2/classic/getClusters" -H "Authorization: bearer $iam_token")
check "the classic list has the classic cluster only" "$classic_list" \
    '[(c["name"], c["provider"]) for c in r] == [("walk-classic", "classic")]'
vpc_list=$(curl "$CONTAINERS/global/v2/vpc/getClusters?provider=vpc-gen2" -H "Authorization: bearer $iam_token")
check "the VPC list has the VPC cluster only" "$vpc_list" '[(c["name"], c["provider"]) for c in r] == [("walk-vpc", "vpc-gen2")]'
all=$(curl "$CONTAINERS/global/v2/clusters" -H "Authorization: bearer $iam_token")
check "the provider-neutral list has both" "$all" 'sorted(c["name"] for c in r) == ["walk-classic", "walk-vpc"]'
for provider in vpc vpc-gen2; do
    narrowed=$(curl -X GET "$CONTAINERS/global/v2/clusters" -H "Authorization: bearer $iam_token" \
        -H "Content-Type: application/json" -d '{"provider": "'"$provider"'"}')
    check "a body with provider $provider narrows it" "$narrowed" '[c["name"] for c in r] == ["walk-vpc"]'
done
narrowed=$(curl "$CONTAINERS/global/v2/clusters?provider=classic" -H "Authorization: bearer $iam_token")
check "so does the query" "$narrowed" '[c["name"] for c in r] == ["walk-classic"]'

step "Version 1: an item of the list equals the single answer, with its VLANs"
item=$(curl "$CONTAINERS/global/v1/clusters" -H "Authorization: bearer $iam_token" | value 'next(c for c in r if c["name"] == "walk-classic")')
single=$(curl "$CONTAINERS/global/v1/clusters/walk-classic" -H "Authorization: bearer $iam_token")
check "they are equal" "[$item, $single]" 'r[0] == r[1]'
check "version 1 has the classic cluster only" "$(curl "$CONTAINERS/global/v1/clusters" -H "Authorization: bearer $iam_token")" \
    '[c["name"] for c in r] == ["walk-classic"]'
single=$(curl "$CONTAINERS/global/v1/clusters/$classic?showResources=true" -H "Authorization: bearer $iam_token")
check "the VLANs are those asked for" "$single" \
    '{v["id"] for v in (r.get("vlans") or []) + (r.get("worker_vlans") or [])} >= {"'"$public_vlan"'", "'"$private_vlan"'"}'

step "Version 2: an item of a list is a true part of the single answer"
subset='(lambda item, whole: all(whole.get(k) == v or isinstance(v, dict) and all(whole.get(k, {}).get(n) == w for n, w in v.items()) for k, v in item.items()) and len(item) < len(whole))(*r)'
single=$(curl "$CONTAINERS/global/v2/clusters/walk-classic" -H "Authorization: bearer $iam_token")
check "classic" "[$(value 'r[0]' <<<"$classic_list"), $single]" "$subset"
single=$(curl "$CONTAINERS/global/v2/clusters/walk-vpc" -H "Authorization: bearer $iam_token")
check "VPC" "[$(value 'r[0]' <<<"$vpc_list"), $single]" "$subset"

step "What an answer holds depends on the provider"
single=$(curl "$CONTAINERS/global/v2/vpc/getCluster?cluster=$vpc_cluster" -H "Authorization: bearer $iam_token")
check "VPC: its VPC and CIDRs, no VLANs" "$single" \
    'r["vpcs"] == ["'"$vpc"'"] and re.fullmatch(r"[\d.]+/\d+", r["podSubnet"]) and re.fullmatch(r"[\d.]+/\d+", r["serviceSubnet"]) and not r.get("vlans") and not r.get("worker_vlans")'
single=$(curl "$CONTAINERS/global/v2/classic/getCluster?cluster=walk-classic&showResources=true" -H "Authorization: bearer $iam_token")
check "classic: VLANs, no VPC" "$single" '(r.get("vlans") or r.get("worker_vlans")) and "vpcs" not in r'

step "Kubeconfig of the classic cluster"
curl "$CONTAINERS/global/v1/clusters/walk-classic/config" -H "Authorization: bearer $iam_token" -o "$work/config.zip"
unzip -q "$work/config.zip" -d "$work/config"
layout=$(cd "$work/config" && find . -type f | sort | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read().split()))')
check "one folder kubeConfig… with one .yml and one ca-….pem" "$layout" \
    'len({f.split("/")[1] for f in r}) == 1 and r[0].split("/")[1].startswith("kubeConfig") and sum(f.endswith(".yml") for f in r) == 1 and sum(bool(re.search(r"/ca-[^/]+\.pem$", f)) for f in r) == 1'
grep -q -- '-----BEGIN CERTIFICATE-----' "$work"/config/kubeConfig*/ca-*.pem || fail "the CA is no certificate"
grep -Eq '^kind: "?Config"?$' "$work"/config/kubeConfig*/*.yml || fail "the .yml is no kubeconfig"
curl "$CONTAINERS/global/v1/clusters/walk-classic/config?format=yaml" -H "Authorization: bearer $iam_token" -o "$work/config.yaml"
grep -Eq '^kind: "?Config"?$' "$work/config.yaml" || fail "format=yaml gives no kubeconfig"

step "Step 5: the API documentation and the document to generate a client from"
curl "$CONTAINERS/global/swagger-global-api/" -o "$work/reference.html"
grep -qi '<html' "$work/reference.html" || fail "the reference is no page"
swagger=$(curl "$CONTAINERS/global/swagger-global-api/swagger.json" | value \
    '{"openapi": r["openapi"], "paths": [p for p in r["paths"] if p.endswith(("/v1/clusters", "/v2/vpc/createCluster"))]}')
check "it is OpenAPI 3 and has both versions" "$swagger" 'r["openapi"].startswith("3.") and len(r["paths"]) == 2'

step "Refreshing: a new access token from the refresh token"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=refresh_token" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "refresh_token=$refresh_token" \
    --data-urlencode "uaa_client_ID=cf" \
    --data-urlencode "uaa_client_secret=" \
    --data-urlencode "bss_account=$account")
check_token refresh "$tokens"
check_uaa refresh "$tokens"
iam_token=$(value 'r["access_token"]' <<<"$tokens")
[ "$(claim "$iam_token" 'r["account"]["bss"]')" = "$account" ] || fail "the refreshed token lost its account"

step "Refreshing: a new access token from the API key"
tokens=$(curl -X POST "$IAM/identity/token" \
    -H "Content-Type: application/x-www-form-urlencoded" \
    -H "Authorization: Basic Yng6Yng=" \
    --data-urlencode "grant_type=urn:ibm:params:oauth:grant-type:apikey" \
    --data-urlencode "response_type=cloud_iam uaa" \
    --data-urlencode "apikey=$APIKEY" \
    --data-urlencode "uaa_client_ID=cf" \
    --data-urlencode "uaa_client_secret=")
check_token "API key again" "$tokens"
check_uaa "API key again" "$tokens"

step "Delete both with the refreshed token"
for cluster in walk-classic "$vpc_cluster"; do
    status=$(curl -X DELETE "$CONTAINERS/global/v1/clusters/$cluster?deleteResources=true" -H "Authorization: bearer $iam_token" -o "$work/deleted" -w '%{http_code}')
    [ "$status" = 204 ] || fail "deleting $cluster answers $status"
    [ ! -s "$work/deleted" ] || fail "deleting $cluster answers a body"
done

step "Done"
