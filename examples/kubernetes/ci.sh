#!/usr/bin/env bash
# Checks manifests in a CI job: applies them to a cluster that is there for this job only, waits until everything has come up, and
# removes them again.
#
#     ci.sh MANIFESTS [NAMESPACE]
#
# MANIFESTS is what `kubectl apply -f` takes. boatyard and kubectl must be in the search path. All files, the kubeconfig too, lie in a
# temporary folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
manifests=${1:?"usage: ci.sh MANIFESTS [NAMESPACE]"}
namespace=${2:-default}

work=$(mktemp -d)
export BOATYARD_HOME=$work/home KUBECONFIG=$work/kubeconfig
finish() {
    kill "${server:-}" 2>/dev/null && wait "$server" || true
    rm -rf "$work"
}
trap finish EXIT

boatyard serve --pace instant --listen 127.0.0.1:0 --data-dir "$work/data" --fixture "$here/cluster.yaml" >"$work/log" 2>&1 &
server=$!
until boatyard login -q --data-dir "$work/data" --apikey a-key-of-this-job-only 2>"$work/why"; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
boatyard ks cluster config -q --cluster test

kubectl get namespace "$namespace" -o name 2>/dev/null || kubectl create namespace "$namespace"
kubectl apply -n "$namespace" --server-side -f "$manifests"
[ -z "$(kubectl get crd -o name)" ] || kubectl wait --for=condition=Established crd --all --timeout=60s
for kind in deployments statefulsets daemonsets; do
    for each in $(kubectl get "$kind" -n "$namespace" -o name); do
        kubectl rollout status -n "$namespace" "$each" --timeout=60s
    done
done
kubectl delete -n "$namespace" -f "$manifests" --timeout=60s
