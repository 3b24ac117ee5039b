package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/inventory"
)

// offers are files that hosts fetch by themselves: each under a name that nobody can guess,
// for as long as a driver wants it, by HTTPS with our certificate.
type offers struct {
	*doors
	// sha256 is of the certificate.
	sha256 string
	// given is the configured name of this computer, empty to find it out for each host.
	given string

	mu    sync.Mutex
	files map[string]hypervisor.Artefact
}

// newOffers takes the server's own certificate. Windows Server 2019 and older know no TLS
// 1.3, so 1.2 is enough here: what is fetched is public, and is checked against its hash.
func newOffers(m Machine, cert tls.Certificate, log *slog.Logger) *offers {
	sum := sha256.Sum256(cert.Certificate[0])
	given, _ := url.Parse(m.URL) // was checked
	o := &offers{sha256: hex.EncodeToString(sum[:]), given: given.Hostname(), files: map[string]hypervisor.Artefact{}}
	mux := http.NewServeMux()
	mux.Handle("GET /offers/{key}/{name}", o)
	o.doors = newDoors(m.OfferPort, mux, func(string) bool { return false }, log)
	o.secure = func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	return o
}

// offer makes an artefact available to a host until release.
func (o *offers) offer(ctx context.Context, h inventory.Host, name string, a hypervisor.Artefact) (_ hyperv.Offer, release func(), err error) {
	addr, err := towards(ctx, h)
	if err != nil {
		return hyperv.Offer{}, nil, err
	}
	if err := o.listen(ctx, addr); err != nil {
		return hyperv.Offer{}, nil, err
	}
	key := rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files[key] = a
	u := url.URL{Scheme: "https", Host: net.JoinHostPort(cmp.Or(o.given, addr.String()), strconv.Itoa(o.port)), Path: "/offers/" + key + "/" + name}
	return hyperv.Offer{URL: u.String(), CertificateSHA256: o.sha256}, func() { o.withdraw(key) }, nil
}

func (o *offers) withdraw(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.files, key)
}

// ServeHTTP implements http.Handler.
func (o *offers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	a, ok := o.files[r.PathValue("key")]
	o.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(a.Content, 0, a.SizeBytes))
}
