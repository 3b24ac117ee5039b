package inventory

import "fmt"

// ImageTested: a boot test of an image came to its end.
type ImageTested struct {
	Name    string `json:"name"`
	Digest  string `json:"digest"`
	Mode    string `json:"mode"`
	Passed  bool   `json:"passed"`
	Problem string `json:"problem,omitempty"`
}

// Kind implements Payload.
func (ImageTested) Kind() EventKind { return EventImageTested }
func (p ImageTested) String() string {
	if p.Passed {
		return fmt.Sprintf("image %s@%s passed its boot test (%s)", p.Name, short(p.Digest), p.Mode)
	}
	return fmt.Sprintf("image %s@%s failed its boot test (%s): %s", p.Name, short(p.Digest), p.Mode, p.Problem)
}

// ChannelMoved: a channel points to another version.
type ChannelMoved struct {
	Name    string `json:"name"`
	Channel string `json:"channel"`
	Digest  string `json:"digest"`
	Why     string `json:"why"`
}

// Kind implements Payload.
func (ChannelMoved) Kind() EventKind { return EventChannel }
func (p ChannelMoved) String() string {
	return fmt.Sprintf("channel %s:%s is %s: %s", p.Name, p.Channel, short(p.Digest), p.Why)
}

// ImageRemoved: a version left the store.
type ImageRemoved struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Why    string `json:"why"`
}

// Kind implements Payload.
func (ImageRemoved) Kind() EventKind { return EventImageRemoved }
func (p ImageRemoved) String() string {
	return fmt.Sprintf("image %s@%s removed: %s", p.Name, short(p.Digest), p.Why)
}

// BuildEnded: a scheduled build came to its end. Problem is empty when all went well.
type BuildEnded struct {
	Schedule string `json:"schedule"`
	Image    string `json:"image,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Step is where it failed.
	Step    string `json:"step,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Unchanged: the content is the same as before, so nothing was published.
	Unchanged bool `json:"unchanged,omitempty"`
}

// Kind implements Payload.
func (BuildEnded) Kind() EventKind { return EventBuild }
func (p BuildEnded) String() string {
	switch {
	case p.Problem != "":
		return fmt.Sprintf("nightly build %s failed at %s: %s", p.Schedule, p.Step, p.Problem)
	case p.Unchanged:
		return fmt.Sprintf("nightly build %s: nothing changed since %s@%s", p.Schedule, p.Image, short(p.Digest))
	}
	return fmt.Sprintf("nightly build %s made %s@%s", p.Schedule, p.Image, short(p.Digest))
}

// short is enough of a digest for people.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
