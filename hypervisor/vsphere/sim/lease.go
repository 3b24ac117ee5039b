package sim

import (
	"net/http"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// leaseTimeout is vCenter's.
const leaseTimeout = 300 * time.Second

// lease is an import under way.
type lease struct {
	*simulator.HttpNfcLease
	s     *Server
	vm    types.ManagedObjectReference
	timer *time.Timer

	mu      sync.Mutex
	files   map[string]string // target to flat file
	whole   map[string]bool
	expired bool
}

// pool imports machines with leases that take disks seriously.
type pool struct {
	*simulator.ResourcePool
	s *Server
}

// ImportVApp makes the machine, and returns when its lease is ready or failed.
func (p pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	res := p.ResourcePool.ImportVApp(ctx, req)
	body, ok := res.(*methods.ImportVAppBody)
	if !ok || body.Res == nil {
		return res
	}
	obj, ok := ctx.Session.Get(body.Res.Returnval).(*simulator.HttpNfcLease)
	if !ok {
		return res
	}
	own := *ctx
	p.s.adopt(&own, obj)
	return res
}

// adopt waits for a lease to be ready and takes it over.
func (s *Server) adopt(ctx *simulator.Context, obj *simulator.HttpNfcLease) {
	limit := s.options.Lease
	if limit == 0 {
		limit = leaseTimeout
	}
	l := &lease{HttpNfcLease: obj, s: s, files: map[string]string{}, whole: map[string]bool{}}
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		var state types.HttpNfcLeaseState
		own := s.context()
		own.WithLock(obj, func() { state = obj.State })
		if state == types.HttpNfcLeaseStateInitializing {
			continue
		}
		tick.Stop()
		if state != types.HttpNfcLeaseStateReady {
			return
		}
		break
	}
	own := s.context()
	own.WithLock(obj, func() {
		info := *obj.Info
		info.LeaseTimeout = int32(max(limit/time.Second, 1))
		info.DeviceUrl = slices.Clone(info.DeviceUrl)
		for i := range info.DeviceUrl { // of the ESXi host, which is another address than the one asked
			info.DeviceUrl[i].SslThumbprint = s.ShortThumbprint()
		}
		own.Update(obj, []types.PropertyChange{{Name: "info", Val: info}})
		l.vm = info.Entity
	})
	vm := s.registry().Get(l.vm).(*simulator.VirtualMachine)
	for _, d := range disks(vm.Config.Hardware.Device) {
		l.files[path.Base(fileOf(d))] = simulator.VirtualDiskBackingFileName(s.file(fileOf(d)))
	}
	l.timer = time.AfterFunc(limit, l.expire)
	s.leases.Store(obj.Self.Value, l)
}

// expire ends an import of which no progress was told. Who watches the lease is told last.
func (l *lease) expire() {
	l.mu.Lock()
	l.expired = true
	l.mu.Unlock()
	l.s.work.Lock()
	l.s.discard(l.vm)
	l.s.work.Unlock()
	own := l.s.context()
	own.WithLock(l.HttpNfcLease, func() {
		own.Update(l.HttpNfcLease, []types.PropertyChange{{Name: "state", Val: types.HttpNfcLeaseStateError}, {Name: "error", Val: &types.LocalizedMethodFault{Fault: new(types.Timedout)}}})
	})
}

// discard destroys a machine that was being imported.
func (s *Server) discard(ref types.ManagedObjectReference) {
	if vm, ok := s.registry().Get(ref).(*simulator.VirtualMachine); ok {
		s.destroy(s.context(), vm)
	}
}

// HttpNfcLeaseProgress lets the lease live on.
func (l *lease) HttpNfcLeaseProgress(ctx *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expired {
		return &methods.HttpNfcLeaseProgressBody{Fault_: simulator.Fault("", new(types.Timedout))}
	}
	limit := l.s.options.Lease
	if limit == 0 {
		limit = leaseTimeout
	}
	l.timer.Reset(limit)
	return &methods.HttpNfcLeaseProgressBody{Res: new(types.HttpNfcLeaseProgressResponse)}
}

// HttpNfcLeaseComplete takes whole disks only.
func (l *lease) HttpNfcLeaseComplete(ctx *simulator.Context, req *types.HttpNfcLeaseComplete) soap.HasFault {
	l.mu.Lock()
	expired, whole := l.expired, len(l.whole) == len(l.files)
	l.mu.Unlock()
	switch {
	case expired:
		return &methods.HttpNfcLeaseCompleteBody{Fault_: simulator.Fault("the lease has timed out", new(types.Timedout))}
	case !whole:
		return &methods.HttpNfcLeaseCompleteBody{Fault_: simulator.Fault("not all disks were received", new(types.InvalidState))}
	}
	l.timer.Stop()
	l.s.leases.Delete(l.Self.Value)
	return l.HttpNfcLease.HttpNfcLeaseComplete(ctx, req)
}

// HttpNfcLeaseAbort takes the machine away.
func (l *lease) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	l.timer.Stop()
	l.s.leases.Delete(l.Self.Value)
	l.s.discard(l.vm)
	return l.HttpNfcLease.HttpNfcLeaseAbort(ctx, req)
}

// serveDisk receives a disk: the whole of it, in the one format there is.
func (s *Server) serveDisk(w http.ResponseWriter, r *http.Request) {
	call := Call{Method: "POST /nfc", Body: r.URL.Path}
	s.calls.add(call)
	before, after := s.breaks.next(call)
	v, ok := s.leases.Load(r.PathValue("lease"))
	if before || !ok {
		http.Error(w, "no such lease, or made to fail", http.StatusServiceUnavailable)
		return
	}
	l := v.(*lease)
	l.mu.Lock()
	file, expired := l.files[r.PathValue("disk")], l.expired
	l.mu.Unlock()
	if file == "" || expired {
		http.NotFound(w, r)
		return
	}
	flat, err := os.Create(file)
	if err == nil {
		_, err = expand(r.Body, flat)
		flat.Close()
	}
	if err != nil || after {
		http.Error(w, "disk is not taken", http.StatusInternalServerError)
		return
	}
	l.mu.Lock()
	l.whole[r.PathValue("disk")] = true
	l.mu.Unlock()
}
