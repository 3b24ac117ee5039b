// Package webhook tells other systems what happened: each event that they asked for is
// posted to their URL, in order, at least once, also after a restart.
//
// The body is JSON: the event with its sentence. With a secret, the header
// Ingot-Signature holds "sha256=" and the HMAC-SHA256 of the body in hex, so that the
// receiver knows who speaks.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/inventory"
)

// Hook is one receiver.
type Hook struct {
	// Name is unique; the place in the order of events is kept by it.
	Name string
	URL  string
	// Kinds are patterns of event kinds ("image.*"); none is all of them.
	Kinds []string
	// Secret signs the bodies; empty signs none.
	Secret string
}

// Check reports the first thing that is wrong, as inventory.ErrInvalid.
func (h Hook) Check() error {
	u, err := url.Parse(h.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return inventory.Invalid("webhook %s: URL %q (want http:// or https://)", h.Name, redacted(h.URL))
	}
	for _, k := range h.Kinds {
		if _, err := path.Match(k, ""); err != nil {
			return inventory.Invalid("webhook %s: events %q is no pattern (want one like image.*)", h.Name, k)
		}
		if !slices.ContainsFunc(inventory.Kinds(), func(kind inventory.EventKind) bool { return Hook{Kinds: []string{k}}.wants(kind) }) {
			return inventory.Invalid("webhook %s: events %q fits no kind of event (there are %s)", h.Name, k, families())
		}
	}
	return inventory.CheckName(h.Name)
}

// families are the kinds of event up to their dot, for people.
func families() string {
	var all []string
	for _, kind := range inventory.Kinds() {
		family, _, _ := strings.Cut(string(kind), ".")
		all = append(all, family+".*")
	}
	return strings.Join(slices.Compact(all), ", ")
}

// redacted leaves out what a URL may hold of secrets.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "of " + strconv.Itoa(len(text)) + " characters"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (h Hook) wants(kind inventory.EventKind) bool {
	for _, k := range h.Kinds {
		if fits, _ := path.Match(k, string(kind)); fits { // the pattern was checked
			return true
		}
	}
	return len(h.Kinds) == 0
}

// Sender posts events to its hooks.
type Sender struct {
	Store inventory.Store
	Hooks []Hook
	// Client posts; its redirects are not followed.
	Client *http.Client
	// After is the clock's: it waits before an attempt is repeated.
	After func(time.Duration) <-chan time.Time
	Log   *slog.Logger
}

// The waits between attempts double from the first to the last. An event that nobody took
// after that many attempts is left out, with a line in the log.
const (
	firstWait   = time.Second
	lastWait    = 5 * time.Minute
	maxAttempts = 300 // a day
	postLimit   = 15 * time.Second
)

// Run posts until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	ended := make(chan error)
	for _, h := range s.Hooks {
		go func() { ended <- s.follow(ctx, h) }()
	}
	var errs []error
	for range s.Hooks {
		if err := <-ended; err != nil && ctx.Err() == nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Sender) follow(ctx context.Context, h Hook) error {
	seq, err := s.cursor(ctx, h)
	if err != nil {
		return fmt.Errorf("webhook %s: %w", h.Name, err)
	}
	return s.Store.Follow(ctx, seq, func(e inventory.Event) error {
		if !h.wants(e.Kind) {
			return nil
		}
		if err := s.deliver(ctx, h, e); err != nil {
			return err
		}
		return s.put(ctx, h, e.Seq)
	})
}

func key(h Hook) string { return "webhook:" + h.Name }

// cursor is the last event that a hook has; a new hook begins with what comes.
func (s *Sender) cursor(ctx context.Context, h Hook) (seq int64, err error) {
	err = s.Store.Update(ctx, func(x inventory.Tx) error {
		text, err := x.Setting(ctx, key(h))
		if err != nil {
			return err
		}
		if text != "" {
			seq, err = strconv.ParseInt(text, 10, 64)
			return err
		}
		newest, err := x.Events(ctx, inventory.EventQuery{Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range newest {
			seq = e.Seq
		}
		return x.PutSetting(ctx, key(h), strconv.FormatInt(seq, 10))
	})
	return seq, err
}

func (s *Sender) put(ctx context.Context, h Hook, seq int64) error {
	return s.Store.Update(ctx, func(x inventory.Tx) error { return x.PutSetting(ctx, key(h), strconv.FormatInt(seq, 10)) })
}

// Message is the body of a post.
type Message struct {
	inventory.Event
	// Text is the event as a sentence.
	Text string `json:"text"`
}

// deliver posts until the hook takes it, or it is given up.
func (s *Sender) deliver(ctx context.Context, h Hook, e inventory.Event) error {
	body, err := json.Marshal(Message{e, e.Text()})
	if err != nil {
		return fmt.Errorf("webhook %s: event %d: %w", h.Name, e.Seq, err)
	}
	wait := firstWait
	for attempt := 1; ; attempt++ {
		err := s.post(ctx, h, e, body)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt == maxAttempts {
			s.Log.Error("webhook did not take an event, which is left out", "webhook", h.Name, "event", e.Seq, "err", err)
			return nil
		}
		if attempt == 1 || wait == lastWait {
			s.Log.Warn("webhook did not take an event", "webhook", h.Name, "event", e.Seq, "attempt", attempt, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.After(wait):
		}
		wait = min(2*wait, lastWait)
	}
}

func (s *Sender) post(ctx context.Context, h Hook, e inventory.Event, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("bad URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Ingot-Event", string(e.Kind))
	req.Header.Set("Ingot-Sequence", strconv.FormatInt(e.Seq, 10))
	if h.Secret != "" {
		mac := hmac.New(sha256.New, []byte(h.Secret))
		mac.Write(body)
		req.Header.Set("Ingot-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text has the URL, which may hold a secret
		}
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// NewClient is a client that follows no redirect: what is posted must not go elsewhere.
func NewClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
