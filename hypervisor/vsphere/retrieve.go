package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// pageObjects is how many objects are asked for at once. A server may send fewer
// (RetrieveOptions.maxObjects).
const pageObjects = 500

// view is a container view of a session: what is below a folder.
type view struct {
	ref    types.ManagedObjectReference
	logins int64
}

// below reads the named properties of all objects of a kind below a folder, in pages.
func (d *Driver) below(ctx context.Context, folder types.ManagedObjectReference, kind string, paths []string, dst any) error {
	key := folder.Value + " " + kind
	for try := 0; ; try++ {
		v, err := d.viewOf(ctx, key, folder, kind)
		if err != nil {
			return err
		}
		err = d.retrieve(ctx, []types.ObjectSpec{through(v.ref)}, kind, paths, dst)
		var gone *types.ManagedObjectNotFound
		if try > 0 || !asFault(err, &gone) {
			return err
		}
		d.views.Delete(key) // the session ended under it
	}
}

// viewOf is the session's view of a folder, which is kept for the session's life.
func (d *Driver) viewOf(ctx context.Context, key string, folder types.ManagedObjectReference, kind string) (view, error) {
	logins := d.session.logins.Load()
	if v, ok := d.views.Load(key); ok && v.(view).logins == logins {
		return v.(view), nil
	}
	res, err := methods.CreateContainerView(ctx, d.client, &types.CreateContainerView{
		This: *d.client.ServiceContent.ViewManager, Container: folder, Type: []string{kind}, Recursive: true})
	if err != nil {
		return view{}, err
	}
	v := view{res.Returnval, d.session.logins.Load()}
	d.views.Store(key, v)
	return v, nil
}

// through selects what a view shows.
func through(view types.ManagedObjectReference) types.ObjectSpec {
	return types.ObjectSpec{Obj: view, Skip: types.NewBool(true), SelectSet: []types.BaseSelectionSpec{
		&types.TraversalSpec{Type: "ContainerView", Path: "view"}}}
}

// object reads properties of one object.
func (d *Driver) object(ctx context.Context, ref types.ManagedObjectReference, paths []string, dst any) error {
	return d.retrieve(ctx, []types.ObjectSpec{{Obj: ref}}, ref.Type, paths, dst)
}

// objects reads properties of some objects of a kind or of kinds derived from it.
func (d *Driver) objects(ctx context.Context, refs []types.ManagedObjectReference, kind string, paths []string, dst any) error {
	if len(refs) == 0 {
		return nil
	}
	from := make([]types.ObjectSpec, len(refs))
	for i, ref := range refs {
		from[i].Obj = ref
	}
	return d.retrieve(ctx, from, kind, paths, dst)
}

// retrieve reads properties into dst, a pointer to a managed object or to a slice of them.
// Objects that went meanwhile are left out.
func (d *Driver) retrieve(ctx context.Context, from []types.ObjectSpec, kind string, paths []string, dst any) error {
	collector := d.client.ServiceContent.PropertyCollector
	spec := types.PropertyFilterSpec{ObjectSet: from, PropSet: []types.PropertySpec{{Type: kind, PathSet: paths}}}
	res, err := methods.RetrievePropertiesEx(ctx, d.client, &types.RetrievePropertiesEx{
		This: collector, SpecSet: []types.PropertyFilterSpec{spec}, Options: types.RetrieveOptions{MaxObjects: pageObjects}})
	if err != nil || res.Returnval == nil {
		return err
	}
	objects, token := res.Returnval.Objects, res.Returnval.Token
	for token != "" {
		more, err := methods.ContinueRetrievePropertiesEx(ctx, d.client, &types.ContinueRetrievePropertiesEx{This: collector, Token: token})
		if err != nil {
			return err
		}
		objects, token = append(objects, more.Returnval.Objects...), more.Returnval.Token
	}
	return mo.LoadObjectContent(present(objects), dst)
}

// present drops objects that have nothing to tell, because they went while the answer was
// made, and the note of what others could not tell.
func present(objects []types.ObjectContent) []types.ObjectContent {
	kept := objects[:0]
	for _, o := range objects {
		if len(o.PropSet) == 0 && len(o.MissingSet) > 0 {
			continue
		}
		o.MissingSet = nil
		kept = append(kept, o)
	}
	return kept
}
