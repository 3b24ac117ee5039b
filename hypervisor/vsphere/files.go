package vsphere

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/inventory"
)

// do sends an HTTP request with the session's cookie, and makes an error of a refusal.
func (d *Driver) do(req *http.Request) error {
	req.Header.Set("User-Agent", userAgent)
	res, err := d.session.soap.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return nil
	case http.StatusUnauthorized:
		return errUnauthorized
	case http.StatusForbidden:
		return fmt.Errorf("%s: %w", res.Status, inventory.ErrDenied)
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w", res.Status, inventory.ErrNotFound)
	}
	return fmt.Errorf("server answers %s", res.Status)
}

// errUnauthorized is a transfer that needs a login.
var errUnauthorized = fmt.Errorf("session ended: %w", inventory.ErrDenied)

// put writes a file on the datastore over HTTP (vSphere Web Services SDK Programming
// Guide, "HTTP access to datastores"). The directory must be there. A lost session is
// made anew by the next SOAP call, so one is made and the file is sent again.
func (d *Driver) put(ctx context.Context, file string, data []byte) error {
	err := d.putOnce(ctx, file, data)
	if err == errUnauthorized {
		if _, err := methods.GetCurrentTime(ctx, d.client); err != nil {
			return translate("log in again", err)
		}
		err = d.putOnce(ctx, file, data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", d.onDatastore(file), err)
	}
	return nil
}

func (d *Driver) putOnce(ctx context.Context, file string, data []byte) error {
	u := *d.target.sdk
	u.Path = "/folder/" + file
	u.RawQuery = url.Values{"dcPath": {d.place.path}, "dsName": {d.place.datastore.Name}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return d.do(req)
}

// onDatastore is a file's name in vSphere's notation, "[datastore] directory/file".
func (d *Driver) onDatastore(file string) string {
	return (&object.DatastorePath{Datastore: d.place.datastore.Name, Path: file}).String()
}

// makeDirectory makes one; one that is there is an error of class ErrConflict.
func (d *Driver) makeDirectory(ctx context.Context, name string) error {
	_, err := methods.MakeDirectory(ctx, d.client, &types.MakeDirectory{This: *d.client.ServiceContent.FileManager,
		Name: d.onDatastore(name), Datacenter: &d.place.datacenter.Self})
	return translate("make directory "+d.onDatastore(name), err)
}

// removeFile removes a file or a directory with all in it; what is not there is no error.
func (d *Driver) removeFile(ctx context.Context, name string) error {
	_, err := d.run(ctx, "remove "+d.onDatastore(name), func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.DeleteDatastoreFile_Task(ctx, d.client, &types.DeleteDatastoreFile_Task{This: *d.client.ServiceContent.FileManager,
			Name: d.onDatastore(name), Datacenter: &d.place.datacenter.Self})
		return returned(res, err, func(r *types.DeleteDatastoreFile_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	var none *types.FileNotFound
	if asFault(err, &none) {
		return nil
	}
	return err
}

// directories are the names at the top of the datastore that fit a pattern.
func (d *Driver) directories(ctx context.Context, pattern string) ([]string, error) {
	result, err := d.run(ctx, "search datastore "+d.place.datastore.Name, func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.SearchDatastore_Task(ctx, d.client, &types.SearchDatastore_Task{This: d.place.datastore.Browser,
			DatastorePath: d.onDatastore(""), SearchSpec: &types.HostDatastoreBrowserSearchSpec{
				Query: []types.BaseFileQuery{&types.FolderFileQuery{}}, MatchPattern: []string{pattern}}})
		return returned(res, err, func(r *types.SearchDatastore_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	if err != nil {
		return nil, err
	}
	var names []string
	if found, ok := result.(types.HostDatastoreBrowserSearchResults); ok {
		for _, f := range found.File {
			names = append(names, path.Base(f.GetFileInfo().Path))
		}
	}
	return names, nil
}
