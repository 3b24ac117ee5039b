package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ingot/inventory"
)

// tries is how often a request is made when the endpoint is busy or the line breaks.
const tries = 4

// requestTime bounds one request with its tries.
const requestTime = 5 * time.Minute

// objects are those below a prefix of a bucket.
type objects struct {
	client *minio.Core
	bucket string
	prefix string // empty, or ends with /
	where  string // for people
}

func openObjects(o Options) (*objects, error) {
	u, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	transport, err := o.transport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupDNS
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.NewCore(u.Host, &minio.Options{Creds: credentials.New(keys), Secure: u.Scheme == "https", Transport: transport,
		Region: o.Region, BucketLookup: lookup, MaxRetries: tries})
	if err != nil {
		return nil, inventory.Invalid("endpoint %q: %v", o.Endpoint, err)
	}
	prefix := strings.Trim(o.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &objects{client: client, bucket: o.Bucket, prefix: prefix, where: o.Where()}, nil
}

// object is one of a list.
type object struct {
	key       string
	sizeBytes int64
	etag      string
	modified  time.Time
}

// get reads an object of at most limit bytes, with its ETag. One that is not there is
// inventory.ErrNotFound.
func (o *objects) get(ctx context.Context, key string, limit int64) (data []byte, etag string, err error) {
	for range tries {
		data, etag, err = o.getOnce(ctx, key, limit)
		var cut *cutError
		if ctx.Err() != nil || !errors.As(err, &cut) {
			break
		}
	}
	return data, etag, o.explain("read "+key, err)
}

func (o *objects) getOnce(ctx context.Context, key string, limit int64) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	body, info, _, err := o.client.GetObject(ctx, o.bucket, o.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		err = &cutError{err}
	case int64(len(data)) > limit:
		err = inventory.Invalid("it has more than %d bytes", limit)
	}
	return data, info.ETag, errors.Join(err, body.Close())
}

// cutError is an answer that broke off; the client tries only what comes before again.
type cutError struct{ err error }

func (e *cutError) Error() string { return "the answer broke off: " + e.err.Error() }

// Unwrap returns the cause.
func (e *cutError) Unwrap() error { return e.err }

// put writes an object, in place of what is there.
func (o *objects) put(ctx context.Context, key string, r io.Reader, sizeBytes int64) error {
	return o.explain("write "+key, o.write(ctx, key, r, sizeBytes, minio.PutObjectOptions{}))
}

// swap writes an object in place of the one with the ETag, or when etag is empty only if
// there is none. When that is not so it is errChanged.
func (o *objects) swap(ctx context.Context, key, etag string, data []byte) error {
	var options minio.PutObjectOptions
	if etag == "" {
		options.SetMatchETagExcept("*")
	} else {
		options.SetMatchETag(etag)
	}
	return o.explain("write "+key, o.write(ctx, key, bytes.NewReader(data), int64(len(data)), options))
}

func (o *objects) write(ctx context.Context, key string, r io.Reader, sizeBytes int64, options minio.PutObjectOptions) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	options.DisableMultipart = true
	_, err := o.client.Client.PutObject(ctx, o.bucket, o.prefix+key, r, sizeBytes, options)
	return err
}

// list goes through the objects whose keys begin with under.
func (o *objects) list(ctx context.Context, under string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for info := range o.client.ListObjectsIter(ctx, o.bucket, minio.ListObjectsOptions{Prefix: o.prefix + under, Recursive: true}) {
			if info.Err != nil {
				yield(object{}, o.explain("list "+under, info.Err))
				return
			}
			if strings.HasSuffix(info.Key, "/") {
				continue // a folder of a gateway to a file system
			}
			if !yield(object{strings.TrimPrefix(info.Key, o.prefix), info.Size, info.ETag, info.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(object{}, err)
		}
	}
}

// remove removes an object; one that is not there is no error.
func (o *objects) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	err := o.explain("remove "+key, o.client.Client.RemoveObject(ctx, o.bucket, o.prefix+key, minio.RemoveObjectOptions{}))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil
	}
	return err
}

// removeAll removes many objects.
func (o *objects) removeAll(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	results, err := o.client.RemoveObjectsWithIter(ctx, o.bucket, func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: o.prefix + key}) {
				return
			}
		}
	}, minio.RemoveObjectsOptions{})
	if err != nil {
		return o.explain("remove objects", err)
	}
	var errs []error
	for r := range results {
		if r.Err != nil && len(errs) < 3 {
			errs = append(errs, o.explain("remove "+strings.TrimPrefix(r.ObjectName, o.prefix), r.Err))
		}
	}
	return errors.Join(errs...)
}

func (o *objects) String() string { return fmt.Sprintf("bucket %s", o.where) }
