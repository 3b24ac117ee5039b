package daemon

import (
	"context"
	"time"
)

// compressEvery is how often the server looks for what another process left to compress,
// or what could not go while it was read.
const compressEvery = time.Minute

// compress compresses what imports left for later, until ctx ends.
func (w *imageWork) compress(ctx context.Context) {
	tick := time.NewTicker(compressEvery)
	defer tick.Stop()
	said := ""
	for {
		switch err := w.compressNow(ctx); {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			w.log.Warn("images stay uncompressed; the server tries again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.imported:
		case <-tick.C:
		}
	}
}

func (w *imageWork) compressNow(ctx context.Context) error {
	work, err := w.publish.Store.Uncompressed()
	if err != nil || !work {
		return err
	}
	start, bytes := w.now(), int64(0)
	count := func(done, total int64) {
		if done == total {
			bytes += total
		}
	}
	if err := w.publish.Store.Compress(ctx, count); err != nil {
		return err
	}
	if bytes == 0 {
		return nil
	}
	w.log.Info("images compressed", "bytes", bytes, "took", w.now().Sub(start).Round(time.Millisecond))
	return w.mirror(ctx) // what they take is less now
}
