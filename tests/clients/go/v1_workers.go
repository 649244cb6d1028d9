package main

import (
	"slices"
	"strings"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
)

func ids(workers []containerv1.Worker) []string {
	found := []string{}
	for _, worker := range workers {
		found = append(found, worker.ID)
	}
	slices.Sort(found)
	return found
}

func same(found, expected []string) {
	expect(slices.Equal(found, expected), "found %v, expected %v", found, expected)
}

func v1Workers(k *kit) {
	workers := k.v1.Workers()
	cluster := k.classic("go-workers", 2)
	before := get(workers.List(cluster, k.here))
	equal("the number of workers in the moment of creation", len(before), 2)
	k.oneWorkerAvailable(cluster)
	k.workersAvailable(cluster)

	listed := get(workers.List(cluster, k.here))
	same(ids(listed), ids(before))
	for _, worker := range listed {
		expect(strings.HasPrefix(worker.ID, "kube-"+cluster+"-"), "the ID %s", worker.ID)
		equal("the pool", worker.PoolName, "default")
		equal("the location", worker.Location, dataCenter)
		equal("the machine type", worker.MachineType, "b3c.4x16")
		expect(worker.PrivateIP != "" && worker.PublicIP != "", "%s has no addresses", worker.ID)
	}
	expect(listed[0].PrivateIP != listed[1].PrivateIP, "two workers share %s", listed[0].PrivateIP)
	one := get(workers.Get(listed[0].ID, k.here))
	equal("the ID", one.ID, listed[0].ID)
	_, err := workers.Get("kube-"+cluster+"-none-such-00000000", k.here)
	refused("a worker that is not there", err, 404, "The specified worker node could not be found")
	byPool := get(workers.ListByWorkerPool(cluster, "default", false, k.here))
	same(ids(byPool), ids(listed))
	byPool = get(workers.ListByWorkerPool(cluster, one.PoolID, false, k.here))
	same(ids(byPool), ids(listed))

	for _, action := range []string{"reboot", "update"} {
		must(action, workers.Update(cluster, one.ID, containerv1.WorkerUpdateParam{Action: action}, k.here))
		k.workersAvailable(cluster)
	}
	command := containerv1.UpdateWorkerCommand{Action: "reload"}
	must("reload", k.v1.Clusters().UpdateClusterWorker(cluster, one.ID, command, k.here))
	k.workersAvailable(cluster)
	same(ids(get(workers.List(cluster, k.here))), ids(listed))

	must("add", workers.Add(cluster, containerv1.WorkerParam{
		Action: "add", WorkerNum: 1, Count: 1, MachineType: "b3c.4x16", Isolation: "public",
		PublicVlan: one.PublicVlan, PrivateVlan: one.PrivateVlan,
	}, k.here))
	k.workersAvailable(cluster)
	equal("the number of workers", len(get(workers.List(cluster, k.here))), 3)

	must("delete", workers.Delete(cluster, one.ID, k.here))
	until("the worker to be deleted", 1, func() bool {
		shown := get(workers.ListByWorkerPool(cluster, "", true, k.here))
		return only("the deleted one", shown, func(w containerv1.Worker) bool { return w.ID == one.ID }).State == "deleted"
	})
	left := get(workers.List(cluster, k.here))
	expect(!slices.Contains(ids(left), one.ID), "%s is still listed", one.ID)
}

// The library reloads through GraphQL on the host's root; every other action is a PUT on the worker.
func v1Reload(k *kit) {
	cluster := k.classic("go-reload", 1)
	k.workersAvailable(cluster)
	before := get(k.v1.Workers().List(cluster, k.here))
	action := containerv1.WorkerUpdateParam{Action: "reload"}
	must("reload", k.v1.Workers().Update(cluster, before[0].ID, action, k.here))
	k.workersAvailable(cluster)
	same(ids(get(k.v1.Workers().List(cluster, k.here))), ids(before))
}
