package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"

	"ingot/images/master"
)

// write BASE DEVICE: what the agent does with a deploy: the manifest and the data of an
// image onto a disk. It prints how many bytes crossed the wire.
func write(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("usage: benchpart write BASE DEVICE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	resp, err := http.Get(args[0] + "/manifest.json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	m, err := master.ParseManifest(text)
	if err != nil {
		return err
	}
	disk, err := master.OpenDevice(args[1])
	if err != nil {
		return err
	}
	p, err := master.Apply(ctx, m, master.HTTPSource{URL: args[0] + "/data"}, disk, master.ApplyOptions{})
	if err = errors.Join(err, disk.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{"wire": p.WireBytes + int64(len(text))})
}
