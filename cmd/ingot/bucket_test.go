package main

import (
	"context"
	"net/http"
	"path/filepath"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"ingot/images/bucket/buckettest"
)

type gatewayKey struct{}

// gateway is the S3 server of a script.
type gateway struct {
	*buckettest.Gateway
	down atomic.Bool
}

// gatewayCommand runs the script's S3 server, whose address is then in $BUCKET_URL.
//
//	gateway BUCKET   starts it with a bucket
//	gateway down     it gives no more answers
//	gateway up       it does again
func gatewayCommand(ts *testscript.TestScript, _ bool, args []string) {
	g := ts.Value(gatewayKey{}).(*gateway)
	switch {
	case len(args) != 1:
		ts.Fatalf("usage: gateway BUCKET|down|up")
	case args[0] == "down" || args[0] == "up":
		g.down.Store(args[0] == "down")
	default:
		var err error
		g.Gateway, err = buckettest.Start(context.Background(), ts.MkAbs("gateway"), args[0])
		ts.Check(err)
		ts.Defer(g.Close)
		g.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			if g.down.Load() {
				buckettest.Cut(w)
			}
			return false
		})
		ts.Setenv("BUCKET_URL", g.URL)
	}
}

type serversKey struct{}

// servers are the variables of a script's servers by name.
type servers map[string]map[string]string

// serverCommand NAME: what comes is about the server of that name, which has a directory and
// ports of its own.
func serverCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: server NAME")
	}
	all, name := ts.Value(serversKey{}).(servers), args[0]
	if all[name] == nil {
		variables, err := serverVariables(filepath.Join(ts.MkAbs("."), "data-"+name))
		ts.Check(err)
		variables["INGOT_IMAGES_BUCKET_SERVER_NAME"] = name
		all[name] = variables
	}
	for key, value := range all[name] {
		ts.Setenv(key, value)
	}
}
