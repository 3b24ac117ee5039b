package winrmsim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// envelopeRoom is what an answer is beside its streams.
const envelopeRoom = 3000

// output is what there is to hand out of a command.
type output struct {
	has, done bool
	streams   string
	// next are closed when there is more, one for each stream.
	next [2]<-chan struct{}
}

// collect takes what fits into the answer (DSP0226 6.2: MaxEnvelopeSize binds answers).
// Streams that nobody desires are thrown away.
func (s *Server) collect(c *command, desired []string, r *request) output {
	room := (min(r.envelope, s.options.MaxEnvelope) - envelopeRoom) / 4 * 3
	room = min(room, cmp.Or(s.options.ChunkBytes, room))
	o := output{done: true}
	var b strings.Builder
	for i, st := range []*stream{c.stdout, c.stderr} {
		name := []string{"stdout", "stderr"}[i]
		data, ended, next := st.take(room)
		o.next[i], o.done, room = next, o.done && ended, room-len(data)
		if !slices.Contains(desired, name) {
			continue
		}
		if len(data) > 0 {
			fmt.Fprintf(&b, `<rsp:Stream Name="%s" CommandId="%s">%s</rsp:Stream>`, name, c.id, base64.StdEncoding.EncodeToString(data))
		}
		if ended {
			fmt.Fprintf(&b, `<rsp:Stream Name="%s" CommandId="%s" End="true"></rsp:Stream>`, name, c.id)
		}
		o.has = o.has || len(data) > 0
	}
	o.streams = b.String()
	if o.done {
		<-c.done // follows at once
		o.has = true
	}
	return o
}

func (o output) xml(c *command) string {
	const state = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/"
	if !o.done {
		return fmt.Sprintf(`<rsp:ReceiveResponse>%s<rsp:CommandState CommandId="%s" State="%sRunning"></rsp:CommandState></rsp:ReceiveResponse>`, o.streams, c.id, state)
	}
	return fmt.Sprintf(`<rsp:ReceiveResponse>%s<rsp:CommandState CommandId="%s" State="%sDone"><rsp:ExitCode>%d</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>`, o.streams, c.id, state, uint32(c.exit))
}
