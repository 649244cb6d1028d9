package main

import (
	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
)

// The other data center of the same metro.
const otherDataCenter = "dal12"

func v1Pools(k *kit) {
	pools := k.v1.WorkerPools()
	cluster := k.classic("go-pools", 1)
	listed := get(pools.ListWorkerPools(cluster, k.here))
	first := only("default", listed, func(p containerv1.WorkerPoolResponse) bool { return p.Name == "default" })
	equal("its size", first.Size, 1)
	zone := only(dataCenter, first.Zones, func(z containerv1.WorkerPoolZoneResponse) bool { return z.ID == dataCenter })
	equal("its workers", zone.WorkerCount, 1)
	expect(zone.PrivateVLAN != "" && zone.PublicVLAN != "", "the zone has no VLANs")
	k.clusterNormal(cluster)

	// Terraform makes a pool without zones and attaches them afterwards.
	request := containerv1.WorkerPoolRequest{DiskEncryption: true, WorkerPoolConfig: containerv1.WorkerPoolConfig{
		Name: "go-pool", Size: 2, MachineType: "b3c.4x16", Isolation: "public", Labels: map[string]string{"team": "a"},
	}}
	created := get(pools.CreateWorkerPool(cluster, request, k.here))
	expect(created.ID != "", "the answer has no ID")
	_, err := pools.CreateWorkerPool(cluster, request, k.here)
	refused("the same name again", err, 409, "A worker pool with the same name already exists within the cluster")
	network := containerv1.WorkerPoolZoneNetwork{PrivateVLAN: zone.PrivateVLAN, PublicVLAN: zone.PublicVLAN}
	added := containerv1.WorkerPoolZone{ID: dataCenter, WorkerPoolZoneNetwork: network}
	must("add a zone", pools.AddZone(cluster, created.ID, added, k.here))
	equal("the number of its workers", len(get(k.v1.Workers().ListByWorkerPool(cluster, "go-pool", false, k.here))), 2)
	k.zoneNormal(cluster, created.ID, dataCenter)
	k.poolNormal(cluster, created.ID)

	byName := get(pools.GetWorkerPool(cluster, "go-pool", k.here))
	equal("the ID", byName.ID, created.ID)
	equal("the machine type", byName.MachineType, "b3c.4x16")
	equal("the label", byName.Labels["team"], "a")
	equal("the number of zones", len(byName.Zones), 1)
	equal("the workers of the zone", byName.Zones[0].WorkerCount, 2)
	_, err = pools.GetWorkerPool(cluster, "none-such", k.here)
	refused("a pool that is not there", err, 404, "The specified worker pool could not be found")

	must("resize", pools.ResizeWorkerPool(cluster, "go-pool", 3, k.here))
	k.poolNormal(cluster, created.ID)
	equal("the number of workers", len(get(k.v1.Workers().ListByWorkerPool(cluster, "go-pool", false, k.here))), 3)
	resized := get(pools.GetWorkerPool(cluster, created.ID, k.here))
	equal("the size", resized.Size, 3)
	equal("the label after a resize that carries none", resized.Labels["team"], "a")

	must("set labels", pools.UpdateLabelsWorkerPool(cluster, created.ID, map[string]string{"team": "b", "tier": "x"}, k.here))
	labelled := get(pools.GetWorkerPool(cluster, created.ID, k.here))
	equal("the label", labelled.Labels["team"]+labelled.Labels["tier"], "bx")
	equal("the size after a change of labels that carries zero", labelled.Size, 3)
	must("rebalance", pools.PatchWorkerPool(cluster, created.ID, "rebalancing", k.here))
	k.poolNormal(cluster, created.ID)

	must("resize down", pools.ResizeWorkerPool(cluster, created.ID, 1, k.here))
	until("the surplus to be gone", 1, func() bool {
		return len(get(k.v1.Workers().ListByWorkerPool(cluster, created.ID, false, k.here))) == 1
	})
	must("delete", pools.DeleteWorkerPool(cluster, created.ID, k.here))
	_, err = pools.GetWorkerPool(cluster, created.ID, k.here)
	refused("the deleted pool", err, 404, "The specified worker pool could not be found")
	k.poolWorkersDeleted(cluster, created.ID)
}

func v1Zones(k *kit) {
	pools := k.v1.WorkerPools()
	cluster := k.classic("go-zones", 1)
	k.clusterNormal(cluster)
	public, private := k.vlans(otherDataCenter)
	network := containerv1.WorkerPoolZoneNetwork{PrivateVLAN: private, PublicVLAN: public}
	zone := containerv1.WorkerPoolZone{ID: otherDataCenter, WorkerPoolZoneNetwork: network}
	must("add", pools.AddZone(cluster, "default", zone, k.here))
	k.zoneNormal(cluster, "default", otherDataCenter)
	pool := get(pools.GetWorkerPool(cluster, "default", k.here))
	found := only(otherDataCenter, pool.Zones, func(z containerv1.WorkerPoolZoneResponse) bool { return z.ID == otherDataCenter })
	equal("the workers of the zone", found.WorkerCount, 1)
	equal("its private VLAN", found.PrivateVLAN, private)

	must("change its network", pools.UpdateZoneNetwork(cluster, otherDataCenter, "default", private, public, k.here))
	_, wrong := k.vlans(dataCenter)
	err := pools.UpdateZoneNetwork(cluster, otherDataCenter, "default", wrong, public, k.here)
	expect(err != nil, "a VLAN of another data center is taken")

	must("remove", pools.RemoveZone(cluster, otherDataCenter, "default", k.here))
	k.zoneDeleted(cluster, "default", otherDataCenter)
	pool = get(pools.GetWorkerPool(cluster, "default", k.here))
	equal("the number of zones", len(pool.Zones), 1)
}
