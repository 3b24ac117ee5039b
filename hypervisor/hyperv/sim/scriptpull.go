package sim

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

type pullRequest struct {
	Url, CertificateSha256, Folder, Partial, Lock string
	SizeBytes, MaxBytes                           int64
	MaxSeconds                                    int
	Stuck                                         bool
}

// What the script calls faults: names of System.Net.WebExceptionStatus and of exceptions.
const (
	trustFailure   = "TrustFailure"
	connectFailure = "ConnectFailure"
	receiveFailure = "ReceiveFailure"
	protocolError  = "ProtocolError"
	noRanges       = "NoRanges"
	tooShort       = "Short"
	moved          = "Moved"
)

// runPull really fetches.
func runPull(r *run, q pullRequest) object {
	r.lock(q.Lock)
	var bytes int64
	fault := ""
	r.read(func() error {
		if f := r.h.files[key(q.Partial)]; f != nil {
			bytes = int64(len(f.data))
		}
		return nil
	})
	if bytes > q.SizeBytes {
		r.change("Remove-Item", func() error { bytes = 0; return r.h.removeFile(q.Partial) })
	}
	if r.err == nil && bytes < q.SizeBytes {
		r.change("New-Item", func() error { return r.h.mkdir(q.Folder) })
		if r.err == nil {
			before := bytes
			bytes, fault = r.fetch(q, bytes)
			r.drop(q, fault, bytes == before)
		}
	}
	code := int64(0)
	if fault != "" && fault != tooShort && fault != noRanges && fault != moved {
		code = -2146233079 // COR_E_INVALIDOPERATION, as WebException has it
	}
	return object{"Bytes": bytes, "Fault": fault, "HResult": code}
}

// drop takes away what was fetched after a fault that is the same the next time.
func (r *run) drop(q pullRequest, fault string, nothing bool) {
	same := fault == trustFailure || fault == noRanges || fault == protocolError || q.Stuck && nothing && (fault == tooShort || fault == receiveFailure)
	if same && r.has(q.Partial) {
		r.change("Remove-Item", func() error { return r.h.removeFile(q.Partial) })
	}
}

// errTrust is a certificate that was not offered.
var errTrust = errors.New("another certificate")

func client(sum string) *http.Client {
	pinned := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, VerifyConnection: func(s tls.ConnectionState) error {
		has := sha256.Sum256(s.PeerCertificates[0].Raw)
		if !strings.EqualFold(hex.EncodeToString(has[:]), sum) {
			return errTrust
		}
		return nil
	}}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: pinned, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (r *run) fetch(q pullRequest, bytes int64) (int64, string) {
	if r.walled() {
		return bytes, connectFailure
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, q.Url, nil)
	if err != nil {
		return bytes, connectFailure
	}
	ask.Header.Set("Range", fmt.Sprintf("bytes=%d-", bytes))
	answer, err := client(q.CertificateSha256).Do(ask)
	var dial *net.OpError
	switch {
	case errors.Is(err, errTrust):
		return bytes, trustFailure
	case errors.As(err, &dial) && dial.Op == "dial":
		return bytes, connectFailure
	case err != nil:
		return bytes, receiveFailure
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode >= http.StatusBadRequest:
		return bytes, protocolError
	case answer.StatusCode != http.StatusPartialContent && bytes > 0:
		return bytes, noRanges
	}
	return r.receive(q, answer.Body, bytes)
}

// walled reports a host whose connections get no answer.
func (r *run) walled() (walled bool) {
	r.read(func() error { walled = r.h.walled; return nil })
	return walled
}

const bufferBytes = 1 << 20

// receive appends what comes to the file.
func (r *run) receive(q pullRequest, from io.Reader, bytes int64) (int64, string) {
	end, until := min(q.SizeBytes, bytes+q.MaxBytes), time.Now().Add(time.Duration(q.MaxSeconds)*time.Second)
	buffer := make([]byte, bufferBytes)
	for bytes < end && time.Now().Before(until) && r.err == nil {
		n, err := from.Read(buffer[:min(bufferBytes, end-bytes)])
		elsewhere := false
		r.change("[System.IO.File]::Open", func() (err error) {
			elsewhere, err = r.h.append(q.Partial, q.SizeBytes, bytes, buffer[:n])
			return err
		})
		if r.err == nil && !elsewhere {
			bytes += int64(n)
		}
		switch {
		case elsewhere:
			return bytes, moved
		case bytes >= end:
		case errors.Is(err, io.EOF):
			return bytes, tooShort
		case err != nil:
			return bytes, receiveFailure
		}
	}
	return bytes, ""
}

// append writes at the end of a file, if that is where it is thought to be.
func (h *Host) append(path string, size, at int64, data []byte) (elsewhere bool, err error) {
	f := h.files[key(path)]
	if f == nil {
		if f, err = h.put(path, make([]byte, 0, size)); err != nil {
			return false, err
		}
	}
	if int64(len(f.data)) != at {
		return true, nil
	}
	f.data = append(f.data, data...)
	return false, nil
}
