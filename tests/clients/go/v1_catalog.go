package main

import (
	"fmt"
	"slices"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
)

func v1Vlans(k *kit) {
	vlans := get(k.v1.Vlans().List(dataCenter, k.here))
	routers := map[string]string{}
	for _, vlan := range vlans {
		expect(vlan.ID != "" && vlan.Properties.VlanNumber != "", "a VLAN without ID or number: %v", vlan)
		expect(len(vlan.Properties.PrimaryRouter) > 3, "the VLAN %s has no router", vlan.ID)
		routers[vlan.Type] = vlan.Properties.PrimaryRouter
	}
	expect(routers["public"] != "" && routers["private"] != "", "a pair is missing: %v", routers)
	equal("the router of the pair", routers["public"][3:], routers["private"][3:])
}

func v1Subnets(k *kit) {
	subnets := get(k.v1.Subnets().List(k.here, dataCenter[:3]))
	for _, subnet := range subnets {
		expect(subnet.Type == "public" || subnet.Type == "private", "the type of %s is %q", subnet.ID, subnet.Type)
		expect(subnet.VlanID != "" && subnet.Properties.CIDR != "", "%s has no VLAN or no CIDR", subnet.ID)
	}
	everywhere := get(k.v1.Subnets().List(k.here))
	expect(len(everywhere) >= len(subnets), "%d subnets everywhere, %d in one place", len(everywhere), len(subnets))

	// A cluster that was ordered without a subnet is given one afterwards, and only then an ingress domain is sure to come.
	public, private := k.vlans(dataCenter)
	cluster := get(k.v1.Clusters().Create(containerv1.ClusterCreateRequest{
		Name: "go-subnets", Datacenter: dataCenter, MachineType: "b3c.4x16", Isolation: "public", WorkerNum: 1,
		PublicVlan: public, PrivateVlan: private, NoSubnet: true, DiskEncryption: true, PublicEndpointEnabled: true,
	}, k.here)).ID
	k.clusterNormal(cluster)
	index := slices.IndexFunc(subnets, func(s containerv1.Subnet) bool { return s.VlanID == public })
	expect(index >= 0, "the public VLAN %s has none of %d subnets", public, len(subnets))
	given := subnets[index].ID
	must("bind a subnet", k.v1.Subnets().AddSubnet(cluster, given, k.here))
	k.ingressAvailable(cluster)
	bound := false
	for _, vlan := range get(k.v1.Clusters().Find(cluster, k.here)).Vlans {
		for _, subnet := range vlan.Subnets {
			bound = bound || subnet.ID == given
		}
	}
	expect(bound, "the subnet %s is not among those of the cluster", given)
	equal("the number of user subnets", len(get(k.v1.Subnets().ListClusterUserSubnets(cluster, k.here))), 0)
}

func text(version containerv1.KubeVersion) string {
	return fmt.Sprintf("%d.%d.%d", version.Major, version.Minor, version.Patch)
}

func v1Versions(k *kit) {
	standard := func(v containerv1.KubeVersion) bool { return v.Default }
	kubernetes := get(k.v1.KubeVersions().List(k.here))
	chosen := only("the default", kubernetes, standard)
	every := get(k.v1.KubeVersions().ListV1(k.here))
	equal("the number of kinds", len(every), 2)
	equal("the default", only("the default", every["kubernetes"], standard), chosen)
	equal("the major version of OpenShift", only("the default", every["openshift"], standard).Major, 4)
}

func v1Addons(k *kit) {
	known := get(k.v1.AddOns().ListAddons())
	expect(len(known) > 0, "no add-ons")
	for _, addon := range known {
		expect(addon.Name != "" && addon.Version != "", "an add-on without name or version: %v", addon)
	}
	static := func(a containerv1.AddOn) bool { return a.Name == "static-route" }

	cluster := k.classic("go-addons", 1)
	k.clusterNormal(cluster)
	before := get(k.v1.AddOns().GetAddons(cluster, k.here))
	configure := func(params containerv1.ConfigureAddOns) {
		params.AddonsList = []containerv1.AddOn{{Name: "static-route"}}
		get(k.v1.AddOns().ConfigureAddons(cluster, &params, k.here))
	}
	configure(containerv1.ConfigureAddOns{Enable: true})
	k.addonsAvailable(cluster)
	enabled := get(k.v1.AddOns().GetAddons(cluster, k.here))
	found := only("static-route", enabled, static)
	equal("its health", found.HealthState, "normal")
	expect(found.Version != "", "it has no version")
	configure(containerv1.ConfigureAddOns{Enable: false})
	until("the add-on to be gone", 1, func() bool {
		return len(get(k.v1.AddOns().GetAddons(cluster, k.here))) == len(before)
	})
	params := containerv1.ConfigureAddOns{Enable: true, AddonsList: []containerv1.AddOn{{Name: "none-such"}}}
	_, err := k.v1.AddOns().ConfigureAddons(cluster, &params, k.here)
	expect(err != nil, "an add-on that is not there is enabled")
}

func v1ApiKey(k *kit) {
	must("reset", k.v1.Apikeys().ResetApiKey(k.here))
	must("reset again", k.v1.Apikeys().ResetApiKey(k.here))
}

func v1KeyOwner(k *kit) {
	cluster := k.classic("go-owner", 1)
	owner := get(k.v1.Apikeys().GetApiKeyInfo(cluster, k.here))
	expect(owner.ID != "" && owner.Name != "" && owner.Email != "", "the owner is incomplete: %v", owner)
}
