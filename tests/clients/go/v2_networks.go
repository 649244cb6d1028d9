package main

import (
	"slices"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv2"
)

func v2Networks(k *kit) {
	vpcs := get(k.v2.VPCs().ListVPCs(k.here2))
	expect(len(vpcs) > 0, "the account has no VPC")
	vpc := vpcs[0]
	expect(vpc.ID != "" && vpc.Name != "" && vpc.Provider == "vpc-gen2", "an incomplete VPC: %+v", vpc)
	for _, zone := range vpc.Zones {
		for _, subnet := range get(k.v2.Subnets().ListSubnets(vpc.ID, zone, k.here2)) {
			equal("the zone", subnet.Zone, zone)
			equal("the VPC", subnet.VpcID, vpc.ID)
			expect(subnet.Ipv4CIDRBlock != "" && subnet.AvailableIPv4AddressCount > 0, "an incomplete subnet: %+v", subnet)
		}
	}
	_, zones := k.network()
	free := func() int {
		subnets := get(k.v2.Subnets().ListSubnets(vpc.ID, zones[0].ID, k.here2))
		return only("the subnet", subnets, func(s containerv2.SubnetConfig) bool { return s.ID == zones[0].SubnetID }).AvailableIPv4AddressCount
	}
	before := free()
	cluster := k.vpc("go-networks", 2)
	k.vpcNormal(cluster)
	expect(free() <= before-2, "%d addresses are free, and %d were before two workers came", free(), before)
	must("delete", k.v2.Clusters().Delete(cluster, k.here2))
	k.vpcGone(cluster)
	equal("the free addresses afterwards", free(), before)
}

func v2DedicatedHosts(k *kit) {
	flavors := get(k.v2.DedicatedHostFlavor().ListDedicatedHostFlavors("us-south-1", k.here2))
	offered := slices.IndexFunc(flavors, func(f containerv2.GetDedicatedHostFlavor) bool { return !f.Deprecated })
	expect(offered >= 0, "none of %d flavors is offered", len(flavors))
	flavor := flavors[offered]
	expect(flavor.FlavorClass != "" && flavor.MaxVCPUs > 0 && flavor.MaxMemory > 0, "an incomplete flavor: %+v", flavor)

	pools, hosts := k.v2.DedicatedHostPool(), k.v2.DedicatedHost()
	pool := get(pools.CreateDedicatedHostPool(containerv2.CreateDedicatedHostPoolRequest{
		FlavorClass: flavor.FlavorClass, Metro: "dal", Name: "go-hosts",
	}, k.here2)).ID
	// waitForDedicatedHostPoolAvailable
	wait("the pool", []string{"creating"}, "created", 1, func() string {
		return get(pools.GetDedicatedHostPool(pool, k.here2)).State
	})
	listed := get(pools.ListDedicatedHostPools(k.here2))
	only("go-hosts", listed, func(p containerv2.GetDedicatedHostPoolResponse) bool { return p.ID == pool && p.Name == "go-hosts" })

	host := get(hosts.CreateDedicatedHost(containerv2.CreateDedicatedHostRequest{
		Flavor: flavor.ID, HostPoolID: pool, Zone: "us-south-1",
	}, k.here2)).ID
	state := func() string {
		return get(hosts.GetDedicatedHost(host, pool, k.here2)).Lifecycle.ActualState
	}
	// waitForDedicatedHostAvailable
	wait("the host", []string{"create_pending", "creating"}, "created", 1, state)
	only("the host", get(hosts.ListDedicatedHosts(pool, k.here2)), func(h containerv2.GetDedicatedHostResponse) bool { return h.ID == host })
	// waitForDedicatedHostPlacement
	placement := containerv2.UpdateDedicatedHostPlacementRequest{HostPoolID: pool, HostID: host}
	placed := func(wanted bool) {
		until("the placement", 1, func() bool {
			return get(hosts.GetDedicatedHost(host, pool, k.here2)).PlacementEnabled == wanted
		})
	}
	must("enable placement", hosts.EnableDedicatedHostPlacement(placement, k.here2))
	placed(true)
	must("disable placement", hosts.DisableDedicatedHostPlacement(placement, k.here2))
	placed(false)
	must("remove the host", hosts.RemoveDedicatedHost(containerv2.RemoveDedicatedHostRequest{HostID: host, HostPoolID: pool}, k.here2))
	// waitForDedicatedHostRemove: a 404 is an error there, so the host stays readable.
	wait("the host", []string{"created", "deleting"}, "deleted", 1, state)
	must("remove the pool", pools.RemoveDedicatedHostPool(containerv2.RemoveDedicatedHostPoolRequest{HostPoolID: pool}, k.here2))
	wait("the pool", []string{"created", "deleting"}, "deleted", 1, func() string {
		return get(pools.GetDedicatedHostPool(pool, k.here2)).State
	})
}
