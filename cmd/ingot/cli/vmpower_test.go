package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStopTakesNoLonger: a guest that does not shut down is told of, and is still asked
// gracefully.
func TestStopTakesNoLonger(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body) // what is missing shows below
		asked = append(asked, r.URL.Path+" "+strings.TrimSpace(body.String()))
		<-r.Context().Done()
	}))
	defer s.Close()
	t.Setenv("INGOT_TOKEN", "token")
	var out, told bytes.Buffer
	a := &app{out: &out, err: &told, output: "table"}
	root := a.root()
	root.SetArgs([]string{"vm", "stop", "web", "--timeout", "50ms", "--server", s.URL})
	err := root.ExecuteContext(t.Context())
	if err == nil || err.Error() != "web is not off after 50ms: give it longer with --timeout, or pull the plug with --force" || out.Len() > 0 {
		t.Errorf("got %v, and %q", err, out.String())
	}
	s.Close()
	if len(asked) != 1 || asked[0] != `/api/v1/vms/web/power {"on":false}` {
		t.Errorf("asked %q", asked)
	}
}
