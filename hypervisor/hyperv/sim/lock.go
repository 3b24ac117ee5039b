package sim

import "strings"

// lock is Lock-Ingot.
func (r *run) lock(path string) {
	if !strings.Contains(r.script.Text, "$lock = Lock-Ingot -Path $Request.Lock\n") {
		panic("sim: script " + r.script.Name + " takes no lock")
	}
	r.read(func() error {
		if err := r.h.mkdir(dirOf(path)); err != nil {
			return err
		}
		if r.h.locks[key(path)] {
			return own("IngotBusy", "ResourceBusy", path)
		}
		r.h.locks[key(path)] = true
		r.locks = append(r.locks, path)
		return nil
	})
}

// end closes what a script held open.
func (r *run) end() {
	r.h.set(func() {
		for _, path := range r.locks {
			delete(r.h.locks, key(path))
		}
	})
	if r.stop != nil {
		close(r.stop.ended)
	}
}

// confirm is Confirm-IngotFolder.
func (r *run) confirm(folder string, known []string) {
	r.read(func() error {
		all, err := r.h.selected(nil, []string{folder + `\`}, false)
		for _, m := range all {
			seen := false
			for _, id := range known {
				seen = seen || strings.EqualFold(id, m.id)
			}
			if !seen {
				return own("IngotBusy", "ResourceBusy", m.id)
			}
		}
		return err
	})
}
