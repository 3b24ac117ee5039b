package httpboot

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// stall is how long a client may take for the next piece, either way.
	stall = time.Minute
	// pieceBytes is what is sent before the first look at the clock. A client that takes a
	// piece within quick is sent twice as much with the next look, up to maxPieceBytes:
	// each look interrupts sendfile, and a call that lasts is cheaper for Go's scheduler.
	pieceBytes    = 8 << 20
	maxPieceBytes = 512 << 20
	quick         = time.Second
)

// meter counts what goes out, and gives every piece of it a deadline of its own, so
// that a download may take hours and a client that stopped reading is dropped. It keeps
// io.ReaderFrom, and with it sendfile.
type meter struct {
	http.ResponseWriter
	// socket is of the connection; corked is set once a file goes out.
	socket socket
	corked bool
	status int
	bytes  int64
	// err is the first error of a write.
	err error
}

func newMeter(w http.ResponseWriter) *meter { return &meter{ResponseWriter: w} }

// Unwrap lets http.ResponseController find the connection.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *meter) WriteHeader(status int) {
	if m.status == 0 && status >= 200 {
		m.status = status
	}
	m.extend()
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) Write(b []byte) (int, error) {
	m.begin()
	m.extend()
	n, err := m.ResponseWriter.Write(b)
	m.count(int64(n), err)
	return n, err
}

// ReadFrom sends piece by piece; a file goes from the page cache to the socket.
func (m *meter) ReadFrom(src io.Reader) (int64, error) {
	to, ok := m.ResponseWriter.(io.ReaderFrom)
	if !ok {
		return io.Copy(writeOnly{m}, src)
	}
	m.beginFile()
	from, left := src, int64(-1)
	limited, isLimited := src.(*io.LimitedReader)
	if isLimited {
		from, left = limited.R, limited.N // net.TCPConn looks under one limit only
	}
	var sent int64
	for piece := int64(pieceBytes); left != 0; {
		if left > 0 {
			piece = min(piece, left)
		}
		start := m.extend()
		n, err := to.ReadFrom(&io.LimitedReader{R: from, N: piece})
		sent += n
		m.count(n, err)
		if left > 0 {
			left -= n
			limited.N = left
		}
		if err != nil || n < piece {
			return sent, err
		}
		piece = nextPiece(piece, time.Since(start))
	}
	return sent, nil
}

// nextPiece is the size in bytes of the piece behind one that took so long.
func nextPiece(piece int64, took time.Duration) int64 {
	if took < quick {
		return min(2*piece, maxPieceBytes)
	}
	return pieceBytes
}

// beginFile corks the connection. A header that says all is sent right away, or
// net/http would copy the first bytes to it, and sendfile begin within a page.
func (m *meter) beginFile() {
	m.begin()
	if m.corked {
		return
	}
	m.socket.fit()
	m.socket.cork()
	m.corked = true
	if m.length() > 0 && m.Header().Get("Content-Type") != "" {
		_ = http.NewResponseController(m.ResponseWriter).Flush() // a test recorder's is not needed
	}
}

// writeOnly hides ReadFrom from io.Copy.
type writeOnly struct{ io.Writer }

func (m *meter) begin() {
	if m.status == 0 {
		m.status = http.StatusOK
	}
}

// extend gives the next write its time, from now on, which it returns. A connection
// without deadlines (a test recorder) goes without.
func (m *meter) extend() time.Time {
	now := time.Now()
	_ = http.NewResponseController(m.ResponseWriter).SetWriteDeadline(now.Add(stall))
	return now
}

func (m *meter) count(n int64, err error) {
	m.bytes += n
	if m.err == nil {
		m.err = err
	}
}

// length is the Content-Length that was announced, 0 if none was.
func (m *meter) length() int64 {
	n, err := strconv.ParseInt(m.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
