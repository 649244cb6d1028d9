package main

import (
	"slices"
	"strings"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv2"
)

func ids2(workers []containerv2.Worker) []string {
	found := []string{}
	for _, worker := range workers {
		found = append(found, worker.ID)
	}
	slices.Sort(found)
	return found
}

func v2Workers(k *kit) {
	workers := k.v2.Workers()
	cluster := k.vpc("go-workers", 2)
	before := get(workers.ListWorkers(cluster, false, k.here2))
	equal("the number of workers in the moment of creation", len(before), 2)
	k.vpcOneWorkerAvailable(cluster)
	k.vpcPoolAvailable(cluster, "default")
	k.vpcNormal(cluster)

	listed := get(workers.ListWorkers(cluster, false, k.here2))
	same(ids2(listed), ids2(before))
	same(ids2(get(workers.ListByWorkerPool(cluster, "default", false, k.here2))), ids2(before))
	same(ids2(get(workers.ListByWorkerPool(cluster, listed[0].PoolID, false, k.here2))), ids2(before))
	same(ids2(get(workers.ListAllWorkers(cluster, false, k.here2))), ids2(before))
	for _, worker := range listed {
		equal("the part of the ID that names the cluster", strings.Split(worker.ID, "-")[1], cluster)
		equal("the state", worker.LifeCycle.ActualState, "deployed")
		equal("the health", worker.Health.State+" "+worker.Health.Message, "normal Ready")
		equal("the pool", worker.PoolName, "default")
		expect(len(worker.NetworkInterfaces) > 0 && worker.NetworkInterfaces[0].IpAddress != "", "%s has no address", worker.ID)
		expect(worker.KubeVersion.Actual != "" && worker.KubeVersion.Actual == worker.KubeVersion.Target, "the versions of %s", worker.ID)
	}
	one := get(workers.Get(cluster, listed[0].ID, k.here2))
	equal("the ID", one.ID, listed[0].ID)
	_, err := workers.Get(cluster, "kube-"+cluster+"-none-such-00000000", k.here2)
	refused("a worker that is not there", err, 404, "The specified worker node could not be found")

	classic := k.classic("go-workers-classic", 1)
	equal("the workers of a classic cluster", len(get(workers.ListAllWorkers(classic, false, k.here2))), 1)
}

func v2ReplaceWorkers(k *kit) {
	workers := k.v2.Workers()
	cluster := k.vpc("go-replace", 2)
	k.vpcNormal(cluster)
	before := ids2(get(workers.ListWorkers(cluster, false, k.here2)))
	for _, old := range before {
		known := ids2(get(workers.ListWorkers(cluster, false, k.here2)))
		// An empty answer is a success, which the library reports as this error; Terraform takes no other.
		_, err := workers.ReplaceWokerNode(cluster, old, k.here2)
		expect(err == nil || strings.Contains(err.Error(), "EmptyResponseBody"), "replace %s: %v", old, err)
		k.vpcWorkerDeleted(cluster, old)
		until("as many workers as before", 1, func() bool {
			return len(get(workers.ListWorkers(cluster, false, k.here2))) == len(known)
		})
		listed := ids2(get(workers.ListWorkers(cluster, false, k.here2)))
		fresh := only("new", listed, func(id string) bool { return !slices.Contains(known, id) })
		k.vpcWorkerNormal(cluster, fresh)
	}
	gone := get(workers.ListWorkers(cluster, true, k.here2))
	equal("the number with the deleted ones", len(gone), 4)
	k.vpcNormal(cluster)
}
