"""The `kubernetes` package against the API server of a cluster, as scripts use it.

Run by tests/sdk_kubernetes.rs with the user's kubeconfig in the environment. Any failed assertion ends the program with a
traceback.
"""

from kubernetes import client, config, dynamic, utils, watch

config.load_kube_config()
core, apps, custom = client.CoreV1Api(), client.AppsV1Api(), client.CustomObjectsApi()
HERE = "default"


def refused(status, reason, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except client.ApiException as error:
        assert error.status == status, error
        assert f'"reason":"{reason}"' in error.body, error
        return
    raise SystemExit(f"{call.__name__} was not refused")


def settings(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"made-by": "script"}), data=data)


def lists_nodes_and_versions():
    assert client.VersionApi().get_code().minor == "36"
    nodes = core.list_node().items
    assert len(nodes) == 3 and all(node.status.capacity["cpu"] == "4" for node in nodes), nodes
    ready = [c.status for node in nodes for c in node.status.conditions if c.type == "Ready"]
    assert ready == ["True"] * 3, ready
    assert "apps/v1" in [v.group_version for group in client.ApisApi().get_api_versions().groups for v in group.versions]


def creates_changes_and_deletes():
    made = core.create_namespaced_config_map(HERE, settings("one", color="blue"))
    assert made.metadata.uid and made.data == {"color": "blue"}, made
    refused(409, "AlreadyExists", core.create_namespaced_config_map, HERE, settings("one"))
    changed = core.patch_namespaced_config_map("one", HERE, {"data": {"size": "small"}})
    assert changed.data == {"color": "blue", "size": "small"}, changed
    changed.data["color"] = "green"
    replaced = core.replace_namespaced_config_map("one", HERE, changed)
    assert int(replaced.metadata.resource_version) > int(changed.metadata.resource_version) > int(made.metadata.resource_version)
    refused(409, "Conflict", core.replace_namespaced_config_map, "one", HERE, changed)
    dry = core.create_namespaced_config_map(HERE, settings("dry"), dry_run="All")
    assert dry.metadata.name == "dry", dry
    refused(404, "NotFound", core.read_namespaced_config_map, "dry", HERE)
    refused(422, "Invalid", core.create_namespaced_config_map, HERE, settings("No Name"))
    assert core.delete_namespaced_config_map("one", HERE).status == "Success"
    refused(404, "NotFound", core.delete_namespaced_config_map, "one", HERE)


def lists_by_pages_and_selectors():
    for number in range(7):
        core.create_namespaced_config_map(HERE, settings(f"page-{number}", number=str(number)))
    names, token = [], None
    while token != "":
        page = core.list_namespaced_config_map(HERE, label_selector="made-by=script", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == [f"page-{number}" for number in range(7)], names
    found = core.list_config_map_for_all_namespaces(field_selector="metadata.name=page-3").items
    assert [item.data for item in found] == [{"number": "3"}], found
    core.delete_collection_namespaced_config_map(HERE, label_selector="made-by=script")
    assert core.list_namespaced_config_map(HERE, label_selector="made-by=script").items == []


def watches():
    revision = core.list_namespaced_config_map(HERE).metadata.resource_version
    core.create_namespaced_config_map(HERE, settings("watched", n="1"))
    core.patch_namespaced_config_map("watched", HERE, {"data": {"n": "2"}})
    core.delete_namespaced_config_map("watched", HERE)
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(core.list_namespaced_config_map, HERE, resource_version=revision, timeout_seconds=60):
        seen.append((event["type"], event["object"].metadata.name, event["object"].data["n"]))
        if event["type"] == "DELETED":
            watcher.stop()
    assert seen == [("ADDED", "watched", "1"), ("MODIFIED", "watched", "2"), ("DELETED", "watched", "2")], seen


def runs_an_application():
    labels = {"app": "web"}
    container = client.V1Container(name="web", image="nginx", ports=[client.V1ContainerPort(container_port=80)])
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)
    utils.create_from_dict(client.ApiClient(), {
        "apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": labels, "ports": [{"port": 80}]}},
        ]})
    apps.create_namespaced_deployment(HERE, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec))

    def until_available(replicas):
        watcher = watch.Watch()
        for event in watcher.stream(apps.list_namespaced_deployment, HERE, field_selector="metadata.name=web", timeout_seconds=60):
            deployment = event["object"]
            if deployment.status.available_replicas == deployment.spec.replicas == replicas:
                return watcher.stop()
        raise SystemExit(f"there are never {replicas} replicas")

    until_available(2)
    assert apps.patch_namespaced_deployment_scale("web", HERE, {"spec": {"replicas": 3}}).spec.replicas == 3
    until_available(3)
    pods = core.list_namespaced_pod(HERE, label_selector="app=web").items
    assert {pod.status.phase for pod in pods} == {"Running"} and len({pod.status.pod_ip for pod in pods}) == 3, pods
    assert core.read_namespaced_service("web", HERE).spec.cluster_ip
    events = core.list_namespaced_event(HERE, field_selector="involvedObject.kind=Deployment").items
    assert "ScalingReplicaSet" in [event.reason for event in events], events
    revision = core.list_namespaced_pod(HERE).metadata.resource_version
    apps.delete_namespaced_deployment("web", HERE, propagation_policy="Foreground")
    watcher, deleted = watch.Watch(), 0
    for event in watcher.stream(core.list_namespaced_pod, HERE, label_selector="app=web", resource_version=revision, timeout_seconds=60):
        deleted += event["type"] == "DELETED"
        if deleted == 3:
            watcher.stop()
    assert deleted == 3, deleted


def works_with_custom_resources():
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 9}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "hats", "singular": "hat", "kind": "Hat"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "hats.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    dynamically = dynamic.DynamicClient(client.ApiClient())
    definitions = dynamically.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(definition)
    for event in definitions.watch(name="hats.example.com", timeout=60):
        conditions = (event["raw_object"].get("status") or {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            break
    hat = {"apiVersion": "example.com/v1", "kind": "Hat", "metadata": {"name": "top"}, "spec": {"size": 7}}
    assert custom.create_namespaced_custom_object("example.com", "v1", HERE, "hats", hat)["spec"] == {"size": 7}
    wrong = hat | {"metadata": {"name": "wrong"}, "spec": {"size": 10}}
    refused(422, "Invalid", custom.create_namespaced_custom_object, "example.com", "v1", HERE, "hats", wrong)
    hats = dynamically.resources.get(api_version="example.com/v1", kind="Hat")
    applied = hats.server_side_apply({"apiVersion": "example.com/v1", "kind": "Hat", "metadata": {"name": "top"}, "spec": {"size": 8}},
                                     namespace=HERE, field_manager="script", force_conflicts=True)
    assert applied.spec.size == 8, applied
    assert [h.metadata.name for h in hats.get(namespace=HERE).items] == ["top"]
    definitions.delete(name="hats.example.com")
    refused(404, "NotFound", custom.list_namespaced_custom_object, "example.com", "v1", HERE, "hats")


for scenario in (
    lists_nodes_and_versions,
    creates_changes_and_deletes,
    lists_by_pages_and_selectors,
    watches,
    runs_an_application,
    works_with_custom_resources,
):
    scenario()
    print("ok:", scenario.__name__)
