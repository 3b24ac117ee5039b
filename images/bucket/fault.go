package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"ingot/inventory"
)

// ErrUnreachable: the endpoint gave no answer, or that it can't now. It is an
// inventory.ErrBusy.
var ErrUnreachable = fmt.Errorf("it can't be reached: %w", inventory.ErrBusy)

// errChanged: another server was faster.
var errChanged = fmt.Errorf("it was changed meanwhile: %w", inventory.ErrConflict)

// faults are the endpoint's error codes that have a meaning for the user, with what to do.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var faults = map[string]struct {
	class error
	do    string
}{
	"NoSuchKey":                      {inventory.ErrNotFound, "there is no such object"},
	"NoSuchBucket":                   {inventory.ErrNotFound, "there is no such bucket: make it, or set images.bucket.name"},
	"PreconditionFailed":             {errChanged, ""},
	"ConditionalRequestConflict":     {errChanged, ""},
	"InvalidAccessKeyId":             {inventory.ErrDenied, "the endpoint doesn't know the access key: see images.bucket.credentials_file"},
	"XAdminUserNotFound":             {inventory.ErrDenied, "the endpoint doesn't know the access key: see images.bucket.credentials_file"},
	"SignatureDoesNotMatch":          {inventory.ErrDenied, "the secret key is wrong, or the server's clock: see images.bucket.credentials_file"},
	"AccessDenied":                   {inventory.ErrDenied, "the key may not do that: it needs to list the bucket, and to get, put and delete objects below the prefix"},
	"RequestTimeTooSkewed":           {inventory.ErrDenied, "the server's clock is wrong"},
	"ExpiredToken":                   {inventory.ErrDenied, "the credentials are too old"},
	"AuthorizationHeaderMalformed":   {inventory.ErrInvalid, "the bucket may be in another region: set images.bucket.region"},
	"PermanentRedirect":              {inventory.ErrInvalid, "the bucket is in another region: set images.bucket.region and images.bucket.endpoint"},
	"NotImplemented":                 {inventory.ErrUnsupported, "the endpoint can't do that"},
	"QuotaExceeded":                  {inventory.ErrConflict, "the bucket is full: remove images (ingot image gc) or raise its quota"},
	"XMinioAdminBucketQuotaExceeded": {inventory.ErrConflict, "the bucket is full: remove images (ingot image gc) or raise its quota"},
	"XMinioStorageFull":              {inventory.ErrConflict, "the endpoint's disks are full"},
	"InsufficientCapacity":           {inventory.ErrConflict, "the endpoint's disks are full"},
}

// explain says what failed and what to do. Nothing in it is secret: the endpoint's own
// text may repeat the access key, so only its code is used.
func (o *objects) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, inventory.ErrInvalid):
		return fmt.Errorf("%s in %s: %w", doing, o, err)
	case !errors.As(err, &answer):
		return fmt.Errorf("%s in %s: %w: %w", doing, o, ErrUnreachable, err)
	}
	if f, ok := faults[answer.Code]; ok {
		return fmt.Errorf("%s in %s: %s%w", doing, o, sentence(f.do), f.class)
	}
	switch {
	case answer.StatusCode == http.StatusInsufficientStorage:
		return fmt.Errorf("%s in %s: the endpoint's disks are full: %w", doing, o, inventory.ErrConflict)
	case answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s in %s: %s: %w", doing, o, faults["AccessDenied"].do, inventory.ErrDenied)
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s in %s: the endpoint answers 404 %s: %w", doing, o, answer.Code, inventory.ErrNotFound)
	case answer.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%s in %s: %w", doing, o, errChanged)
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%s in %s: the endpoint answers %d %s: %w", doing, o, answer.StatusCode, answer.Code, ErrUnreachable)
	}
	return fmt.Errorf("%s in %s: the endpoint answers %d %s", doing, o, answer.StatusCode, answer.Code)
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return s + ": "
}
