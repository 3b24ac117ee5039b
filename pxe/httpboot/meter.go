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
	// pieceBytes is what is sent between two looks at the clock.
	pieceBytes = 8 << 20
)

// meter counts what goes out, and gives every piece of it a deadline of its own, so
// that a download may take hours and a client that stopped reading is dropped. It keeps
// io.ReaderFrom, and with it sendfile.
type meter struct {
	http.ResponseWriter
	// cork is of the connection; corked is set once a file goes out.
	cork   cork
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
	m.begin()
	if !m.corked {
		m.cork.in()
		m.corked = true
	}
	from, left := src, int64(-1)
	limited, isLimited := src.(*io.LimitedReader)
	if isLimited {
		from, left = limited.R, limited.N // net.TCPConn looks under one limit only
	}
	var sent int64
	for left != 0 {
		piece := int64(pieceBytes)
		if left > 0 {
			piece = min(piece, left)
		}
		m.extend()
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
	}
	return sent, nil
}

// writeOnly hides ReadFrom from io.Copy.
type writeOnly struct{ io.Writer }

func (m *meter) begin() {
	if m.status == 0 {
		m.status = http.StatusOK
	}
}

// extend gives the next write its time. A connection without deadlines (a test
// recorder) goes without.
func (m *meter) extend() {
	_ = http.NewResponseController(m.ResponseWriter).SetWriteDeadline(time.Now().Add(stall))
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
