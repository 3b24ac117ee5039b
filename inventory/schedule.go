package inventory

import "time"

// Schedule is what is known of something that is done again and again: its times are in
// the configuration, this is when it is due and how it went.
type Schedule struct {
	// Name is the configuration's.
	Name string `json:"name"`
	// Due is when it is to run next. A server that was down then runs it when it is up.
	Due time.Time `json:"due"`
	// Running is when the run under way began, zero for none. A server that finds one
	// when it starts begins it anew.
	Running time.Time `json:"running,omitzero"`
	// Step is what the run under way is doing.
	Step string `json:"step,omitempty"`
	// Anew says of the run under way, or due, what befell the one before, which is begun
	// anew: "killed at build: the server ended". Empty for a run of its own.
	Anew string `json:"anew,omitempty"`
	// Log is the name of the newest run's log in the journal.
	Log string `json:"log,omitempty"`
	// Last is the last run that came to its end.
	Last *ScheduleRun `json:"last,omitempty"`
	// Failures in a row, 0 after a success.
	Failures int `json:"failures,omitempty"`
}

// ScheduleRun is how one run went.
type ScheduleRun struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Digest is of the image that was made or found unchanged.
	Digest    string `json:"digest,omitempty"`
	Unchanged bool   `json:"unchanged,omitempty"`
	// Step and Problem say where and why it failed; Problem is empty for a success.
	Step    string `json:"step,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Anew is the schedule's when the run began.
	Anew string `json:"anew,omitempty"`
}
