package tftp

import "log/slog"

// request is what the kernel is asked for from time to time. Where it refuses, it is not
// asked again. Begin and end may be called at any time, by one goroutine.
type request struct {
	// ask asks; what it returns ends that. what is for the log.
	ask  func() (end func() error, err error)
	what string
	log  *slog.Logger

	ending  func() error // nil unless it was asked for
	refused bool
}

func (r *request) begin() {
	if r.ending != nil || r.refused {
		return
	}
	end, err := r.ask()
	if err != nil {
		r.refused = true
		r.log.Debug("the kernel refuses, transfers are slower without it", "what", r.what, "err", err)
		return
	}
	r.ending = end
}

func (r *request) end() {
	if r.ending == nil {
		return
	}
	if err := r.ending(); err != nil {
		r.log.Warn("end what the kernel was asked for", "what", r.what, "err", err)
	}
	r.ending = nil
}
