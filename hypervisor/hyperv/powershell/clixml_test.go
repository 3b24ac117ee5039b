package powershell

import (
	"strings"
	"testing"
)

const objs = `<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">`

func TestErrorText(t *testing.T) {
	for name, test := range map[string]struct{ stderr, want string }{
		"plain":        {"ssh: no\r\nroute\n", "ssh: no route"},
		"errors":       {"#< CLIXML\r\n" + objs + `<S S="Error">At line:1_x000D__x000A_</S><S S="Error">+ oops &lt;here&gt;_x000D__x000A_</S></Objs>`, "At line:1 + oops <here>"},
		"progress":     {"#< CLIXML\r\n" + objs + `<Obj S="progress" RefId="0"><TN RefId="0"><T>x</T></TN><MS><I64 N="SourceId">1</I64></MS></Obj></Objs>`, ""},
		"two":          {"#< CLIXML\r\n" + objs + `<S S="Error">a</S></Objs>` + objs + `<S S="warning">b</S></Objs> c`, "a b c"},
		"text around":  {"before\n#< CLIXML\r\n" + objs + `<S S="Error">x</S></Objs>after`, "before x after"},
		"cut off":      {"#< CLIXML\r\n" + objs + `<S S="Error">lost`, objs + `<S S="Error">lost`},
		"surrogates":   {"#< CLIXML\r\n" + objs + `<S S="Error">_xD83D__xDE00_ _x00E4_</S></Objs>`, "?? ä"},
		"not UTF-8":    {"f\xfcr", "f?r"},
		"empty":        {"", ""},
		"mark only":    {"#< CLIXML", ""},
		"another root": {"#< CLIXML <Other/>", "<Other/>"},
	} {
		if got := errorText([]byte(test.stderr)); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func FuzzErrorText(f *testing.F) {
	f.Add([]byte("#< CLIXML\r\n" + objs + `<S S="Error">a_x000A_</S></Objs>`))
	f.Add([]byte("x #< CLIXML <Objs><S>#< CLIXML</S></Objs><Objs"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := errorText(b); strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q: %q", b, got)
		}
	})
}
