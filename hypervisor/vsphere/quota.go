package vsphere

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
)

// memoryMin is how much memory a resource pool should have left for machines.
const memoryMin = 1 << 30

// checkQuota looks at the limits of the resource pool that machines are made in
// (ResourceAllocationInfo, ResourcePoolResourceUsage). Elsewhere nobody limits.
func (d *Driver) checkQuota(ctx context.Context) hypervisor.Finding {
	const what = "quota"
	var pool mo.ResourcePool
	if err := d.object(ctx, *d.place.compute.ResourcePool, []string{"name", "config", "runtime"}, &pool); err != nil {
		return failed(what, translate("read resource pool", err), "look at the login's rights on the resource pool")
	}
	memory, cpu := limit(pool.Config.MemoryAllocation), limit(pool.Config.CpuAllocation)
	detail := fmt.Sprintf("resource pool %s: memory %s, CPU %s", unescape(pool.Name), bounded(memory, "MiB"), bounded(cpu, "MHz"))
	if memory < 0 {
		return fine(what, "%s", detail)
	}
	left := memory<<20 - pool.Runtime.Memory.OverallUsage
	detail += fmt.Sprintf(", %d MiB of memory left", left>>20)
	if left < memoryMin {
		return hypervisor.Finding{What: what, Level: hypervisor.Warning, Detail: detail, Try: "raise the resource pool's limit, or switch machines off"}
	}
	return fine(what, "%s", detail)
}

// limit is -1 for none; memory is in MiB and CPU in MHz.
func limit(a types.ResourceAllocationInfo) int64 {
	if a.Limit == nil {
		return -1
	}
	return *a.Limit
}

func bounded(limit int64, unit string) string {
	if limit < 0 {
		return "without limit"
	}
	return fmt.Sprintf("up to %d %s", limit, unit)
}
