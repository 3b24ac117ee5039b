package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
)

// stageFile describes the second stage; the first stage vouches for it. stageMark is
// there when the second stage is unpacked already: on boot media, which bring both.
const (
	stageFile = "/etc/ingot/stage2.json"
	stageMark = "/etc/ingot/stage2.unpacked"
)

// Stage is the second stage as the first one names it.
type Stage struct {
	SHA256    string `json:"sha256"`
	SizeBytes int64  `json:"size_bytes"`
}

// fetchStage gets the second stage and unpacks it over the root. It is in memory until
// its hash is checked: a stage that isn't the one named is never unpacked.
func fetchStage(ctx context.Context, client *http.Client, url string) error {
	if _, err := os.Stat(stageMark); err == nil {
		return nil
	}
	text, err := os.ReadFile(stageFile)
	if err != nil {
		return fmt.Errorf("second stage: %w", err)
	}
	var want Stage
	if err := json.Unmarshal(text, &want); err != nil {
		return fmt.Errorf("read %s: %w", stageFile, err)
	}
	data, err := download(ctx, client, url, want.SizeBytes)
	if err != nil {
		return fmt.Errorf("second stage: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
		return fmt.Errorf("second stage from %s is not the one that belongs to this first stage", url)
	}
	return unpack(data)
}

// downloadTries bounds the attempts; the server may be restarting.
const downloadTries = 30

func download(ctx context.Context, client *http.Client, url string, sizeBytes int64) ([]byte, error) {
	var err error
	for range downloadTries {
		var data []byte
		if data, err = get(ctx, client, url, sizeBytes); err == nil {
			return data, nil
		}
		if serr := sleep(ctx, 2*time.Second); serr != nil {
			return nil, serr
		}
	}
	return nil, err
}

// get reads a body of at most limit bytes.
func get(ctx context.Context, client *http.Client, url string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: server says %s", url, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("fetch %s: more than %d bytes", url, limit)
	}
	return data, nil
}

func unpack(data []byte) error {
	dec, err := zstd.NewReader(nil)
	if err != nil {
		return fmt.Errorf("unpack second stage: %w", err)
	}
	defer dec.Close()
	archive, err := dec.DecodeAll(data, nil)
	if err != nil {
		return fmt.Errorf("unpack second stage: %w", err)
	}
	records := cpio.Newc.Reader(readerAt(archive))
	err = cpio.ForEachRecord(records, func(r cpio.Record) error { return cpio.CreateFileInRoot(r, "/", false) })
	if err != nil {
		return fmt.Errorf("unpack second stage: %w", err)
	}
	return nil
}

type readerAt []byte

func (b readerAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
