package images

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"ingot/images/master"
)

// Handler serves /images/{digest}/manifest.json and /images/{digest}/data, with
// ranges. Both never change, so they may be cached for ever. The data goes out
// with sendfile(2) as long as no middleware hides the ResponseWriter's ReadFrom.
// Who may read is the caller's matter.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/{digest}/manifest.json", func(w http.ResponseWriter, r *http.Request) {
		s.serveFile(w, r, manifestName, "application/json")
	})
	mux.HandleFunc("GET /images/{digest}/data", func(w http.ResponseWriter, r *http.Request) {
		s.serveFile(w, r, dataName, "application/zstd")
	})
	return mux
}

func (s *Store) serveFile(w http.ResponseWriter, r *http.Request, name, contentType string) {
	digest, err := master.ParseDigest(r.PathValue("digest"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := os.Open(filepath.Join(s.blob(digest), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "no image "+digest.String(), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the image can't be read", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("ETag", `"`+digest.Hex()+`"`)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
}
