package main

import (
	"os"
	"strings"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
	"github.com/IBM-Cloud/bluemix-go/api/container/containerv2"
)

// A VPC, and a subnet in each of its zones.
func (k *kit) network() (vpc string, zones []containerv2.Zone) {
	vpcs := get(k.v2.VPCs().ListVPCs(k.here2))
	expect(len(vpcs) > 0, "the account has no VPC")
	for _, zone := range vpcs[0].Zones {
		subnets := get(k.v2.Subnets().ListSubnets(vpcs[0].ID, zone, k.here2))
		expect(len(subnets) > 0, "%s has no subnet", zone)
		zones = append(zones, containerv2.Zone{ID: zone, SubnetID: subnets[0].ID})
	}
	expect(len(zones) > 1, "the VPC has %d zones", len(zones))
	return vpcs[0].ID, zones
}

func (k *kit) order(name string, workers int) containerv2.ClusterCreateRequest {
	vpc, zones := k.network()
	return containerv2.ClusterCreateRequest{
		Name: name, Provider: "vpc-gen2",
		WorkerPools: containerv2.WorkerPoolConfig{CommonWorkerPoolConfig: containerv2.CommonWorkerPoolConfig{
			Flavor: "bx2.4x16", WorkerCount: workers, VpcID: vpc, Zones: zones[:1],
		}},
	}
}

// A VPC cluster in one zone, its pool without a name, as Terraform orders it.
func (k *kit) vpc(name string, workers int) string {
	created := get(k.v2.Clusters().Create(k.order(name, workers), k.here2))
	expect(created.ID != "", "the answer has no ID")
	return created.ID
}

func v2Clusters(k *kit) {
	clusters := k.v2.Clusters()
	id := k.vpc("go-vpc", 2)
	found := get(clusters.GetCluster(id, k.here2))
	equal("the name", found.Name, "go-vpc")
	equal("the number of workers", found.WorkerCount, 2)
	k.vpcMasterAvailable(id)
	k.vpcIngressAvailable(id)
	k.vpcNormal(id)

	found = get(clusters.GetCluster("go-vpc", k.here2))
	equal("the ID", found.ID, id)
	equal("the provider", found.Provider, "vpc-gen2")
	equal("the state", found.State, "normal")
	equal("the master's state", found.Lifecycle.MasterState, "deployed")
	equal("the number of VPCs", len(found.Vpcs), 1)
	expect(len(found.WorkerZones) == 1 && found.CRN != "" && found.MasterURL != "", "details are missing: %+v", found)
	expect(found.ServiceEndpoints.PrivateServiceEndpointEnabled, "the private endpoint is off")
	expect(found.Ingress.SecretName != "" && found.ServiceSubnet != "" && found.PodSubnet != "", "details are missing: %+v", found)

	// Without a provider the list of Satellite clusters is asked for too, and its failure ignored.
	for _, provider := range []string{"vpc-gen2", ""} {
		listed := get(clusters.List(containerv2.ClusterTargetHeader{Provider: provider}))
		only("go-vpc", listed, func(c containerv2.ClusterInfo) bool { return c.ID == id && c.Name == "go-vpc" })
	}
	classic := get(k.v1.Clusters().List(k.here))
	expect(all(classic, func(c containerv1.ClusterInfo) bool { return c.ID != id }), "a VPC cluster is among the classic ones")

	_, err := clusters.Create(k.order("go-vpc", 1), k.here2)
	refused("the same name again", err, 409, "A cluster with the same name already exists")
	elsewhere := k.order("go-elsewhere", 1)
	elsewhere.WorkerPools.Zones[0].SubnetID = "0717-00000000-0000-0000-0000-000000000000"
	_, err = clusters.Create(elsewhere, k.here2)
	expect(err != nil, "a subnet that is not there is taken")
	_, err = clusters.GetCluster("none-such", k.here2)
	refused("a cluster that is not there", err, 404, "The specified cluster could not be found")

	must("delete", clusters.Delete(id, k.here2, true))
	k.vpcGone(id)
	refused("delete again", clusters.Delete(id, k.here2), 404, "could not be found")
}

func v2Kubeconfig(k *kit) {
	clusters := k.v2.Clusters()
	id := k.vpc("go-config", 1)
	k.vpcNormal(id)
	for _, cluster := range []string{id, "go-config"} {
		detail := get(clusters.GetClusterConfigDetail(cluster, k.folder, false, k.here2, ""))
		expect(strings.HasPrefix(detail.Host, "https://"), "the host is %q", detail.Host)
		expect(strings.Count(detail.Token, ".") == 2, "the token is no JWT")
		expect(strings.Contains(detail.ClusterCACertificate, "BEGIN CERTIFICATE"), "no CA certificate")
		kubeconfig := string(get(os.ReadFile(detail.FilePath)))
		expect(strings.Contains(kubeconfig, "refresh-token"), "the client could not write its refresh token")
	}
	_, detail, err := clusters.StoreConfigDetail(id, k.folder, false, true, k.here2, "")
	must("store with the network's configuration", err)
	expect(detail.FilePath != "", "no kubeconfig is stored")

	// The same call serves classic clusters.
	classic := k.classic("go-config-classic", 1)
	k.clusterNormal(classic)
	detail = get(clusters.GetClusterConfigDetail(classic, k.folder, false, k.here2, ""))
	expect(detail.Token != "", "no token")
}

// The library logs in to an OpenShift cluster by itself: the API key becomes a token, which it writes into the kubeconfig.
func v2Openshift(k *kit) {
	clusters := k.v2.Clusters()
	order := k.order("go-openshift", 2)
	order.KubeVersion = "4.21_openshift"
	order.CosInstanceCRN = "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::"
	created := get(clusters.Create(order, k.here2))
	k.vpcNormal(created.ID)
	detail := get(clusters.GetClusterConfigDetail(created.ID, k.folder, false, k.here2, ""))
	expect(strings.HasPrefix(detail.Token, "sha256~"), "the token is %q", detail.Token)
	found := get(clusters.GetCluster(created.ID, k.here2))
	equal("the host", detail.Host, found.MasterURL)
	kubeconfig := string(get(os.ReadFile(detail.FilePath)))
	expect(strings.Contains(kubeconfig, "IAM#go-openshift@example.com"), "the user is missing: %s", kubeconfig)
	expect(strings.Contains(kubeconfig, detail.Token), "the token is not in the kubeconfig")
}

func v2Master(k *kit) {
	from, to := k.versionsForUpdate()
	order := k.order("go-master", 1)
	order.KubeVersion = from
	created := get(k.v2.Clusters().Create(order, k.here2))
	k.vpcNormal(created.ID)
	// Version 2 of the library has no call for it; Terraform makes the one of version 1.
	update := containerv1.ClusterUpdateParam{Action: "update", Force: true, Version: to}
	must("update the master", k.v1.Clusters().Update(created.ID, update, k.here))
	k.vpcVersionSettled(created.ID)
	found := get(k.v2.Clusters().GetCluster(created.ID, k.here2))
	expect(strings.HasPrefix(found.MasterKubeVersion, to), "the master is at %s", found.MasterKubeVersion)
	workers := get(k.v2.Workers().ListWorkers(created.ID, false, k.here2))
	equal("the number of workers", len(workers), 1)
	expect(strings.HasPrefix(workers[0].KubeVersion.Actual, from), "the worker is at %s", workers[0].KubeVersion.Actual)
	expect(strings.HasPrefix(workers[0].KubeVersion.Target, to), "the worker is to become %s", workers[0].KubeVersion.Target)
}
