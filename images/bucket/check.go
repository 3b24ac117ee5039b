package bucket

import (
	"context"
	"errors"
	"fmt"

	"ingot/inventory"
)

// Check finds out whether the bucket is there, may be read and written, and honours
// conditions. An endpoint that gives no answer is [ErrUnreachable]: that may pass. All else
// is for the administrator.
func (s *Share) Check(ctx context.Context) error {
	err := s.check(ctx)
	if err != nil {
		return fmt.Errorf("check the bucket: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked = true
	return nil
}

func (s *Share) check(ctx context.Context) error {
	// Not HEAD, whose answer has no error code.
	for _, err := range s.objects.list(ctx, serversFolder) {
		if err != nil {
			return err
		}
		break
	}
	key := "check-" + s.Server
	if err := s.objects.remove(ctx, key); err != nil {
		return err
	}
	err := s.checkConditions(ctx, key)
	return errors.Join(err, s.objects.remove(ctx, key))
}

func (s *Share) checkConditions(ctx context.Context, key string) error {
	if err := s.objects.swap(ctx, key, "", []byte("1")); err != nil && !errors.Is(err, errChanged) { // a try before may have done it
		return err
	}
	if err := s.mustRefuse(s.objects.swap(ctx, key, "", []byte("2")), "If-None-Match"); err != nil {
		return err
	}
	data, etag, err := s.objects.get(ctx, key, 10)
	if err != nil {
		return err
	}
	if string(data) != "1" {
		return ignores("If-None-Match")
	}
	if err := s.objects.swap(ctx, key, etag, []byte("3")); err != nil {
		return fmt.Errorf("the endpoint refuses a write with a right If-Match: %w", err)
	}
	return s.mustRefuse(s.objects.swap(ctx, key, etag, []byte("4")), "If-Match")
}

func (s *Share) mustRefuse(err error, condition string) error {
	switch {
	case err == nil:
		return ignores(condition)
	case errors.Is(err, errChanged):
		return nil
	}
	return err
}

func ignores(condition string) error {
	return fmt.Errorf("the endpoint ignores %s: two servers could lose each other's moves of a channel; use an endpoint that honours conditional writes, or share a folder: %w", condition, inventory.ErrUnsupported)
}
