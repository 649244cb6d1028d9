package main

import (
	"os"
	"strings"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
)

const dataCenter = "dal10"

// The public and the private VLAN of a data center.
func (k *kit) vlans(zone string) (public, private string) {
	vlans := get(k.v1.Vlans().List(zone, k.here))
	of := func(kind string) string {
		for _, vlan := range vlans {
			if vlan.Type == kind {
				return vlan.ID
			}
		}
		fail("%s has no %s VLAN", zone, kind)
		return ""
	}
	return of("public"), of("private")
}

// A classic cluster as Terraform orders it: every member is sent, most of them empty.
func (k *kit) classic(name string, workers int) string {
	public, private := k.vlans(dataCenter)
	created := get(k.v1.Clusters().Create(containerv1.ClusterCreateRequest{
		Name: name, Datacenter: dataCenter, MachineType: "b3c.4x16", Isolation: "public", WorkerNum: workers,
		PublicVlan: public, PrivateVlan: private, DiskEncryption: true, PublicEndpointEnabled: true,
		DefaultWorkerPoolName: "default",
	}, k.here))
	expect(created.ID != "", "the answer has no ID")
	return created.ID
}

func v1Clusters(k *kit) {
	clusters := k.v1.Clusters()
	id := k.classic("go-classic", 2)
	found := get(clusters.Find(id, k.here))
	equal("the name", found.Name, "go-classic")
	equal("the number of workers", found.WorkerCount, 2)
	k.masterAvailable(id)
	k.ingressAvailable(id)
	k.clusterNormal(id)

	found = get(clusters.Find("go-classic", k.here))
	equal("the ID", found.ID, id)
	equal("the state", found.State, "normal")
	equal("the provider", found.Provider, "classic")
	equal("the type", found.Type, "kubernetes")
	expect(len(found.Vlans) > 0, "with showResources there are VLANs")
	expect(strings.HasPrefix(found.CRN, "crn:v1:"), "the CRN is %q", found.CRN)
	plain := get(clusters.FindWithOutShowResources(id, k.here))
	equal("the ID", plain.ID, id)
	compatible := get(clusters.FindWithOutShowResourcesCompatible(id, k.here))
	equal("the flat master status", compatible.MasterStatus, "Ready")
	expect(compatible.PublicServiceEndpointEnabled && compatible.ServerURL != "", "the flat endpoint is missing")
	expect(compatible.IngressHostname != "" && compatible.IngressSecretName != "", "the flat ingress is missing")
	listed := get(clusters.List(k.here))
	only("go-classic", listed, func(c containerv1.ClusterInfo) bool { return c.ID == id && c.Name == "go-classic" })

	again := containerv1.ClusterCreateRequest{Name: "go-classic", Datacenter: dataCenter, MachineType: "b3c.4x16"}
	again.PublicVlan, again.PrivateVlan = k.vlans(dataCenter)
	again.WorkerNum, again.Isolation = 1, "public"
	_, err := clusters.Create(again, k.here)
	refused("the same name again", err, 409, "A cluster with the same name already exists")
	_, err = clusters.Find("none-such", k.here)
	refused("a cluster that is not there", err, 404, "The specified cluster could not be found")

	must("delete", clusters.Delete(id, k.here, true))
	k.clusterGone(id)
	refused("delete again", clusters.Delete(id, k.here), 404, "could not be found")
}

func v1Kubeconfig(k *kit) {
	clusters := k.v1.Clusters()
	id := k.classic("go-config", 1)
	k.clusterNormal(id)
	path := get(clusters.GetClusterConfig(id, k.folder, false, k.here))
	text := string(get(os.ReadFile(path)))
	expect(strings.Contains(text, "current-context") && strings.Contains(text, "go-config/"+id), "not a kubeconfig: %s", text)
	detail := get(clusters.GetClusterConfigDetail(id, k.folder, false, k.here))
	expect(strings.HasPrefix(detail.Host, "https://"), "the host is %q", detail.Host)
	expect(strings.Count(detail.Token, ".") == 2, "the token is no JWT")
	expect(strings.Contains(detail.ClusterCACertificate, "BEGIN CERTIFICATE"), "no CA certificate")
	path, _, err := clusters.StoreConfig(id, k.folder, false, false, k.here)
	must("store", err)
	expect(strings.HasSuffix(path, ".yml"), "the kubeconfig is called %s", path)
	path, _, err = clusters.StoreConfig(id, k.folder, false, true, k.here)
	must("store with the network's configuration", err)
	expect(path != "", "there is no kubeconfig beside the network's configuration")
	_, detail, err = clusters.StoreConfigDetail(id, k.folder, false, false, k.here)
	must("store with details", err)
	expect(detail.FilePath != "" && detail.Token != "", "details are missing: %v", detail.FilePath)

	vpc := k.vpc("go-config-vpc", 1)
	k.vpcNormal(vpc)
	_, err = clusters.GetClusterConfig(vpc, k.folder, false, k.here)
	refused("the kubeconfig of a VPC cluster", err, 400, "Cluster provider not permitted for given operation")
}

func v1Credentials(k *kit) {
	must("set", k.v1.Clusters().SetCredentials("infrastructure-user", strings.Repeat("a", 64), k.here))
	must("set again", k.v1.Clusters().SetCredentials("another-user", strings.Repeat("b", 64), k.here))
	must("unset", k.v1.Clusters().UnsetCredentials(k.here))
}

// The version that a master may be updated to: the next minor one.
func (k *kit) versionsForUpdate() (from, to string) {
	versions := get(k.v1.KubeVersions().ListV1(k.here))["kubernetes"]
	for _, older := range versions {
		for _, newer := range versions {
			if newer.Major == older.Major && newer.Minor == older.Minor+1 {
				return text(older), text(newer)
			}
		}
	}
	fail("no two versions follow each other")
	return "", ""
}

func v1Master(k *kit) {
	clusters := k.v1.Clusters()
	from, to := k.versionsForUpdate()
	public, private := k.vlans(dataCenter)
	created := get(clusters.Create(containerv1.ClusterCreateRequest{
		Name: "go-master", Datacenter: dataCenter, MachineType: "b3c.4x16", Isolation: "public", WorkerNum: 2,
		PublicVlan: public, PrivateVlan: private, MasterVersion: from, DiskEncryption: true,
	}, k.here))
	k.clusterNormal(created.ID)
	update := containerv1.ClusterUpdateParam{Action: "update", Force: true, Version: to}
	must("update the master", clusters.Update(created.ID, update, k.here))
	k.clusterVersion(created.ID, to)
	refused("the same update again", clusters.Update(created.ID, update, k.here), 409, "already up to date")

	workers := get(k.v1.Workers().List(created.ID, k.here))
	for _, worker := range workers {
		expect(strings.HasPrefix(worker.KubeVersion, from), "%s has left %s by itself", worker.ID, from)
		expect(strings.HasPrefix(worker.TargetVersion, to), "%s is to become %s", worker.ID, worker.TargetVersion)
	}
	command := containerv1.UpdateWorkerCommand{Action: "update"}
	must("update the workers", clusters.UpdateClusterWorkers(created.ID, ids(workers), command, k.here))
	k.workersAvailable(created.ID)
	updated := get(k.v1.Workers().List(created.ID, k.here))
	for _, worker := range updated {
		expect(strings.HasPrefix(worker.KubeVersion, to), "%s is at %s", worker.ID, worker.KubeVersion)
	}
	same(ids(workers), ids(updated))
	must("refresh the API server", clusters.RefreshAPIServers(created.ID, k.here))
	k.masterAvailable(created.ID)
}
