package vsphere

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// lease is an HttpNfcLease: the right to send a machine's disks, which ends when no
// progress is told for a while (300 s, HttpNfcLeaseInfo.leaseTimeout).
type lease struct {
	driver *Driver
	ref    types.ManagedObjectReference
}

const (
	// beatMax is the longest time between two reports of progress.
	beatMax = 10 * time.Second
	// progressStep is how many bytes go between two calls of a progress function.
	progressStep = 1 << 20
)

// receive sends a disk and completes the lease. The server does not say how much it got
// before it is asked to complete, so bytes and hash are counted on the way.
func (l lease) receive(ctx context.Context, item types.OvfFileItem, a hypervisor.Artefact, progress func(hypervisor.Progress)) (types.ManagedObjectReference, error) {
	info, err := l.ready(ctx)
	if err != nil {
		return types.ManagedObjectReference{}, translate("wait for lease", err)
	}
	url, err := l.deviceURL(info, item)
	if err != nil {
		return info.Entity, err
	}
	body := &meter{from: a.Content, sum: sha256.New(), total: a.SizeBytes, progress: progress}
	beating, stop := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { l.beat(beating, info, body) })
	err = l.post(ctx, url, body)
	body.Close()
	stop()
	beat.Wait()
	if err != nil {
		return info.Entity, fmt.Errorf("send disk: %w", err)
	}
	if sum := hex.EncodeToString(body.sum.Sum(nil)); body.count != a.SizeBytes || sum != a.SHA256 {
		return info.Entity, inventory.Conflict("sent %d bytes with the hash %s, the image has %d and %s", body.count, sum, a.SizeBytes, a.SHA256)
	}
	_, err = methods.HttpNfcLeaseComplete(ctx, l.driver.client, &types.HttpNfcLeaseComplete{This: l.ref})
	return info.Entity, translate("complete lease", err)
}

// ready waits until the machine is made and its disk can be sent.
func (l lease) ready(ctx context.Context) (*types.HttpNfcLeaseInfo, error) {
	var info *types.HttpNfcLeaseInfo
	var state types.HttpNfcLeaseState
	var failed *types.LocalizedMethodFault
	err := l.driver.watch(ctx, []watched{{l.ref, []string{"state", "info", "error"}}}, func(u types.ObjectUpdate) bool {
		for _, c := range u.ChangeSet {
			switch v := c.Val.(type) {
			case types.HttpNfcLeaseState:
				state = v
			case types.HttpNfcLeaseInfo:
				info = &v
			case types.LocalizedMethodFault:
				failed = &v
			}
		}
		return state == types.HttpNfcLeaseStateReady && info != nil || failed != nil
	})
	if err == nil && failed != nil {
		err = taskError{failed}
	}
	return info, err
}

// deviceURL is where the disk goes. Each host has a certificate of its own, and vCenter
// vouches for it by its thumbprint. ESXi leaves the host out ("*").
func (l lease) deviceURL(info *types.HttpNfcLeaseInfo, item types.OvfFileItem) (string, error) {
	for _, device := range info.DeviceUrl {
		if device.ImportKey != item.DeviceId {
			continue
		}
		u, err := l.driver.session.soap.ParseURL(device.Url)
		if err != nil {
			return "", fmt.Errorf("transfer address: %w", err)
		}
		if device.SslThumbprint != "" && u.Host != l.driver.target.sdk.Host {
			l.driver.session.soap.SetThumbprint(u.Host, device.SslThumbprint)
		}
		return u.String(), nil
	}
	return "", fmt.Errorf("lease has no address for %s: %w", item.DeviceId, inventory.ErrUnsupported)
}

func (l lease) post(ctx context.Context, url string, body *meter) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.ContentLength = body.total
	req.Header.Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	return l.driver.do(req)
}

// beat tells progress until ctx ends, so that the lease lives.
func (l lease) beat(ctx context.Context, info *types.HttpNfcLeaseInfo, body *meter) {
	tick := time.NewTicker(min(beatMax, max(time.Duration(info.LeaseTimeout)*time.Second/4, 50*time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, err := methods.HttpNfcLeaseProgress(ctx, l.driver.client, &types.HttpNfcLeaseProgress{This: l.ref, Percent: body.percent()})
			if err != nil && ctx.Err() == nil {
				l.driver.log.Warn("lease progress", "err", err)
			}
		}
	}
}

// abort gives the lease up, also after ctx's end.
func (l lease) abort(ctx context.Context, reason error) {
	long, cancel := linger(ctx)
	defer cancel()
	fault := &types.LocalizedMethodFault{Fault: &types.OvfImportFailed{}, LocalizedMessage: reason.Error()}
	if _, err := methods.HttpNfcLeaseAbort(long, l.driver.client, &types.HttpNfcLeaseAbort{This: l.ref, Fault: fault}); err != nil {
		l.driver.log.Info("lease can't be aborted", "err", err)
	}
}

// meter counts and hashes what is read through it. Its lock is not held while it reads: a
// slow source must not keep the lease from being told of, nor a call from ending.
type meter struct {
	from     io.Reader
	total    int64
	progress func(hypervisor.Progress)

	mu     sync.Mutex
	sum    hash.Hash
	count  int64
	told   int64
	closed bool
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	if m.isClosed() {
		return 0, io.ErrClosedPipe
	}
	n, err := m.from.Read(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, io.ErrClosedPipe
	}
	m.sum.Write(p[:n])
	m.count += int64(n)
	if m.progress != nil && (m.count-m.told >= progressStep || m.count == m.total && n > 0) {
		m.told = m.count
		m.progress(hypervisor.Progress{Bytes: m.count, TotalBytes: m.total})
	}
	return n, err
}

func (m *meter) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// Close ends counting; the HTTP client may still read after it gave up.
func (m *meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *meter) percent() int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int32(100 * m.count / max(m.total, 1))
}

// checkStream looks whether a file is a streamOptimized VMDK, the only form that an import
// takes (Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents": magic
// KDMV, flags for compressed grains and markers).
func checkStream(content io.ReaderAt) error {
	var head [12]byte
	if _, err := content.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	const compressed, markers = 1 << 16, 1 << 17
	if flags := binary.LittleEndian.Uint32(head[8:]); string(head[:4]) != "KDMV" || flags&compressed == 0 || flags&markers == 0 {
		return inventory.Invalid("not a streamOptimized VMDK")
	}
	return nil
}
