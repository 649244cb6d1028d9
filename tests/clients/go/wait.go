package main

// The loops in which the Terraform provider waits, with its conditions and its order of calls, at shorter intervals. A state that
// a loop does not know ends it with an error at once, as it does there.

import (
	"slices"
	"strings"
	"time"

	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
	"github.com/IBM-Cloud/bluemix-go/bmxerror"
)

const (
	interval = 20 * time.Millisecond
	patience = 60 * time.Second
)

// The states of a cluster on its way to `normal`.
var clusterPending = []string{"deploying", "requested", "pending", "deployed", "critical", "warning"}

// Asks until the state is the wanted one, `times` in a row.
func wait(what string, pending []string, target string, times int, ask func() string) {
	deadline, hits := time.Now().Add(patience), 0
	for {
		state := ask()
		if state == target {
			if hits++; hits == times {
				return
			}
		} else {
			hits = 0
			expect(slices.Contains(pending, state), "%s: unexpected state %q, wanted %q", what, state, target)
		}
		expect(time.Now().Before(deadline), "%s: still %q after %s", what, state, patience)
		time.Sleep(interval)
	}
}

// A condition as a state.
func until(what string, times int, holds func() bool) {
	wait(what, []string{"no"}, "yes", times, func() string {
		if holds() {
			return "yes"
		}
		return "no"
	})
}

func missing(err error) bool {
	answer, ok := err.(bmxerror.RequestFailure)
	return ok && answer.StatusCode() == 404
}

// waitForClusterMasterAvailable
func (k *kit) masterAvailable(cluster string) {
	until("the master to be available", 1, func() bool {
		found := get(k.v1.Clusters().FindWithOutShowResourcesCompatible(cluster, k.here))
		return found.MasterStatus == "Ready"
	})
}

// waitForClusterState
func (k *kit) clusterNormal(cluster string) {
	wait("the classic cluster", clusterPending, "normal", 1, func() string {
		return get(k.v1.Clusters().FindWithOutShowResourcesCompatible(cluster, k.here)).State
	})
}

// WaitForSubnetAvailable
func (k *kit) ingressAvailable(cluster string) {
	until("the ingress of the classic cluster", 1, func() bool {
		found := get(k.v1.Clusters().FindWithOutShowResourcesCompatible(cluster, k.here))
		return found.IngressHostname != "" && found.IngressSecretName != ""
	})
}

// waitForClusterDelete
func (k *kit) clusterGone(cluster string) {
	until("the classic cluster to be gone", 1, func() bool {
		_, err := k.v1.Clusters().Find(cluster, k.here)
		expect(err == nil || missing(err), "get a cluster that is deleted: %v", err)
		return err != nil
	})
}

// WaitForClusterVersionUpdate
func (k *kit) clusterVersion(cluster, version string) {
	until("the version "+version, 3, func() bool {
		found := get(k.v1.Clusters().FindWithOutShowResourcesCompatible(cluster, k.here)).MasterKubeVersion
		return strings.Contains(found, version) && !strings.Contains(found, "pending")
	})
}

// waitForClusterOneWorkerAvailable
func (k *kit) oneWorkerAvailable(cluster string) {
	until("one worker", 1, func() bool {
		pools := get(k.v1.WorkerPools().ListWorkerPools(cluster, k.here))
		only("the pool default", pools, func(p containerv1.WorkerPoolResponse) bool { return p.Name == "default" })
		workers := get(k.v1.Workers().ListByWorkerPool(cluster, "default", false, k.here))
		return slices.ContainsFunc(workers, func(w containerv1.Worker) bool { return w.State == "normal" })
	})
}

func ready(worker containerv1.Worker) bool {
	return worker.State == "deleted" ||
		!strings.Contains(worker.KubeVersion, "pending") && worker.State == "normal" && worker.Status == "Ready"
}

func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(one T) bool { return !holds(one) })
}

// WaitForWorkerAvailable
func (k *kit) workersAvailable(cluster string) {
	until("the workers", 1, func() bool {
		return all(get(k.v1.Workers().List(cluster, k.here)), ready)
	})
}

// WaitForWorkerNormal, of one pool
func (k *kit) poolNormal(cluster, pool string) {
	until("the workers of the pool "+pool, 1, func() bool {
		return all(get(k.v1.Workers().ListByWorkerPool(cluster, pool, false, k.here)), ready)
	})
}

// WaitForWorkerDelete: the pool is gone, so its workers are looked for among all of the cluster.
func (k *kit) poolWorkersDeleted(cluster, pool string) {
	until("the workers of the pool "+pool+" to be deleted", 1, func() bool {
		workers := get(k.v1.Workers().ListByWorkerPool(cluster, "", true, k.here))
		return all(workers, func(w containerv1.Worker) bool {
			return w.PoolName != pool && w.PoolID != pool || w.State == "deleted"
		})
	})
}

// WaitForWorkerZoneNormal
func (k *kit) zoneNormal(cluster, pool, zone string) {
	until("the workers of the zone "+zone, 1, func() bool {
		workers := get(k.v1.Workers().ListByWorkerPool(cluster, pool, false, k.here))
		return all(workers, func(w containerv1.Worker) bool { return w.Location != zone || ready(w) })
	})
}

// WaitForWorkerZoneDeleted
func (k *kit) zoneDeleted(cluster, pool, zone string) {
	until("the workers of the zone "+zone+" to be deleted", 1, func() bool {
		workers := get(k.v1.Workers().ListByWorkerPool(cluster, pool, true, k.here))
		return all(workers, func(w containerv1.Worker) bool { return w.Location != zone || w.State == "deleted" })
	})
}

// waitForContainerAddOns
func (k *kit) addonsAvailable(cluster string) {
	until("the add-ons", 1, func() bool {
		addons := get(k.v1.AddOns().GetAddons(cluster, k.here))
		return all(addons, func(a containerv1.AddOn) bool {
			return a.HealthState != "pending" && a.HealthState != "updating" && a.HealthState != ""
		})
	})
}

// waitForVpcClusterState
func (k *kit) vpcNormal(cluster string) {
	wait("the VPC cluster", clusterPending, "normal", 3, func() string {
		return get(k.v2.Clusters().GetCluster(cluster, k.here2)).State
	})
}

// waitForVpcClusterMasterAvailable
func (k *kit) vpcMasterAvailable(cluster string) {
	until("the master to be available", 3, func() bool {
		return get(k.v2.Clusters().GetCluster(cluster, k.here2)).Lifecycle.MasterStatus == "Ready"
	})
}

// waitForVpcClusterIngressAvailable
func (k *kit) vpcIngressAvailable(cluster string) {
	until("the ingress of the VPC cluster", 3, func() bool {
		return get(k.v2.Clusters().GetCluster(cluster, k.here2)).Ingress.HostName != ""
	})
}

// waitForVpcClusterOneWorkerAvailable
func (k *kit) vpcOneWorkerAvailable(cluster string) {
	until("one worker", 3, func() bool {
		workers := get(k.v2.Workers().ListByWorkerPool(cluster, "default", false, k.here2))
		for _, worker := range workers {
			if worker.Health.State == "normal" {
				return true
			}
		}
		return false
	})
}

// waitForVpcClusterVersionUpdate
func (k *kit) vpcVersionSettled(cluster string) {
	until("the update of the master", 3, func() bool {
		found := get(k.v2.Clusters().GetCluster(cluster, k.here2))
		return !strings.Contains(found.MasterKubeVersion, "(pending)")
	})
}

// waitForVpcClusterDelete
func (k *kit) vpcGone(cluster string) {
	until("the VPC cluster to be gone", 1, func() bool {
		_, err := k.v2.Clusters().GetCluster(cluster, k.here2)
		expect(err == nil || missing(err), "get a cluster that is deleted: %v", err)
		return err != nil
	})
}

// WaitForWorkerPoolAvailable
func (k *kit) vpcPoolAvailable(cluster, pool string) {
	until("the workers of the pool "+pool, 1, func() bool {
		workers := get(k.v2.Workers().ListByWorkerPool(cluster, pool, false, k.here2))
		for _, worker := range workers {
			if worker.LifeCycle.ActualState != "deployed" {
				return false
			}
		}
		return true
	})
}

// WaitForVpcWorkerDelete and WaitForV2WorkerZoneDeleted; an empty zone is every zone.
func (k *kit) vpcWorkersDeleted(cluster, pool, zone string) {
	until("the workers of the pool "+pool+" to be deleted", 1, func() bool {
		workers := get(k.v2.Workers().ListByWorkerPool(cluster, "", true, k.here2))
		for _, w := range workers {
			concerned := (w.PoolName == pool || w.PoolID == pool) && (zone == "" || w.Location == zone)
			if concerned && w.LifeCycle.ActualState != "deleted" {
				return false
			}
		}
		return true
	})
}

// waitForVpcWorkerNodetoDelete: whatever error counts as pending.
func (k *kit) vpcWorkerDeleted(cluster, worker string) {
	until("the worker "+worker+" to be deleted", 1, func() bool {
		found, err := k.v2.Workers().Get(cluster, worker, k.here2)
		return err == nil && found.LifeCycle.ActualState == "deleted"
	})
}

// waitForVpcClusterWokersVersionUpdate
func (k *kit) vpcWorkerNormal(cluster, worker string) {
	until("the worker "+worker, 3, func() bool {
		return get(k.v2.Workers().Get(cluster, worker, k.here2)).Health.State == "normal"
	})
}
