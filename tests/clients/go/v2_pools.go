package main

import (
	"slices"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv2"
)

func v2Pools(k *kit) {
	pools := k.v2.WorkerPools()
	cluster := k.vpc("go-pools", 1)
	listed := get(pools.ListWorkerPools(cluster, k.here2))
	only("default", listed, func(p containerv2.GetWorkerPoolResponse) bool { return p.PoolName == "default" })
	k.vpcNormal(cluster)

	vpc, zones := k.network()
	request := containerv2.WorkerPoolRequest{Cluster: cluster, CommonWorkerPoolConfig: containerv2.CommonWorkerPoolConfig{
		Name: "go-pool", Flavor: "bx2.4x16", VpcID: vpc, WorkerCount: 2, Zones: zones[:1], Labels: map[string]string{"team": "a"},
	}}
	created := get(pools.CreateWorkerPool(request, k.here2))
	expect(created.ID != "", "the answer has no ID")
	_, err := pools.CreateWorkerPool(request, k.here2)
	refused("the same name again", err, 409, "A worker pool with the same name already exists within the cluster")
	count := func() int {
		return len(get(k.v2.Workers().ListByWorkerPool(cluster, created.ID, false, k.here2)))
	}
	equal("the number of workers in the moment of creation", count(), 2)
	k.vpcPoolAvailable(cluster, created.ID)

	found := get(pools.GetWorkerPool(cluster, "go-pool", k.here2))
	equal("the ID", found.ID, created.ID)
	equal("the flavor", found.Flavor, "bx2.4x16")
	equal("the VPC", found.VpcID, vpc)
	equal("the size", found.WorkerCount, 2)
	equal("the label", found.Labels["team"], "a")
	expect(found.Lifecycle.ActualState != "deleted", "the pool is deleted")
	equal("its subnet", only(zones[0].ID, found.Zones, func(z containerv2.ZoneResp) bool { return z.ID == zones[0].ID }).Subnets[0].ID, zones[0].SubnetID)
	_, err = pools.GetWorkerPool(cluster, "none-such", k.here2)
	refused("a pool that is not there", err, 404, "The specified worker pool could not be found")

	taints := map[string]string{"dedicated": "edge:NoExecute"}
	must("taint", pools.UpdateWorkerPoolTaints(containerv2.WorkerPoolTaintRequest{Cluster: cluster, WorkerPool: "go-pool", Taints: taints}, k.here2))
	equal("the taint", get(pools.GetWorkerPool(cluster, created.ID, k.here2)).Taints["dedicated"], "edge:NoExecute")
	none := containerv2.WorkerPoolTaintRequest{Cluster: cluster, WorkerPool: "go-pool", Taints: map[string]string{}}
	must("clear the taints", pools.UpdateWorkerPoolTaints(none, k.here2))
	equal("the number of taints", len(get(pools.GetWorkerPool(cluster, created.ID, k.here2)).Taints), 0)
	labels := containerv2.SetWorkerPoolLabelsRequest{Cluster: cluster, WorkerPool: created.ID, Labels: map[string]string{"team": "b"}}
	must("label", pools.UpdateWorkerPoolLabels(labels, k.here2))
	equal("the label", get(pools.GetWorkerPool(cluster, created.ID, k.here2)).Labels["team"], "b")
	system := containerv2.SetWorkerPoolOperatingSystem{Cluster: cluster, WorkerPool: created.ID, OperatingSystem: found.OperatingSystem}
	must("set the operating system", pools.SetWorkerPoolOperatingSystem(system, k.here2))
	system.OperatingSystem = "NONE_SUCH"
	expect(pools.SetWorkerPoolOperatingSystem(system, k.here2) != nil, "an unknown operating system is taken")

	must("resize", pools.ResizeWorkerPool(containerv2.ResizeWorkerPoolReq{Cluster: cluster, Workerpool: "go-pool", Size: 1}, k.here2))
	until("the surplus to be gone", 1, func() bool { return count() == 1 })
	zone := containerv2.WorkerPoolZone{Cluster: cluster, Id: zones[1].ID, SubnetID: zones[1].SubnetID, WorkerPoolID: "go-pool"}
	must("add a zone", pools.CreateWorkerPoolZone(zone, k.here2))
	equal("the number of workers", count(), 2)
	k.vpcPoolAvailable(cluster, created.ID)
	found = get(pools.GetWorkerPool(cluster, created.ID, k.here2))
	expect(slices.ContainsFunc(found.Zones, func(z containerv2.ZoneResp) bool { return z.ID == zones[1].ID && z.WorkerCount == 1 }), "the zone is not there: %v", found.Zones)
	// Version 2 of the library has no call for it; Terraform makes the one of version 1.
	must("remove the zone", k.v1.WorkerPools().RemoveZone(cluster, zones[1].ID, created.ID, k.here))
	k.vpcWorkersDeleted(cluster, created.ID, zones[1].ID)
	equal("the number of workers", count(), 1)

	must("delete", pools.DeleteWorkerPool(cluster, created.ID, k.here2))
	k.vpcWorkersDeleted(cluster, created.ID, "")
	if left, err := pools.GetWorkerPool(cluster, created.ID, k.here2); err == nil {
		equal("the state of the deleted pool", left.Lifecycle.ActualState, "deleted")
	} else {
		refused("the deleted pool", err, 404, "The specified worker pool could not be found")
	}
}
