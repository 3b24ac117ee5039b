package daemon

import (
	"context"
	"log/slog"

	"ingot/images/contents"
	"ingot/images/lint"
	"ingot/images/sign"
	"ingot/inventory"
	"ingot/inventory/api"
)

// Promote implements rest.Images.
func (w *imageWork) Promote(ctx context.Context, in api.ImagePromote) (inventory.Image, error) {
	image, err := w.publish.Promote(ctx, in.Name, in.From, in.To)
	if err != nil {
		return image, err
	}
	return image, w.mirror(ctx)
}

// Rollback implements rest.Images.
func (w *imageWork) Rollback(ctx context.Context, in api.ImageRollback) (inventory.Image, error) {
	if err := w.fetchPrevious(ctx, in.Name, in.Channel); err != nil {
		return inventory.Image{}, err
	}
	image, err := w.publish.Rollback(ctx, in.Name, in.Channel)
	if err != nil {
		return image, err
	}
	return image, w.mirror(ctx)
}

// Sign implements rest.Images.
func (w *imageWork) Sign(ctx context.Context, in api.ImageRefs) (inventory.Image, error) {
	image, err := w.publish.Store.Get(ctx, in.Image)
	if err != nil {
		return image, err
	}
	if w.publish.Signer == nil {
		return image, inventory.Conflict("the server has no key to sign with: set images.signing_key, or sign with one of yours (ingot image sign REF --key FILE --data DIR)")
	}
	return w.signWith(ctx, image, w.publish.Signer)
}

// SignWith signs with a key of the caller's.
func (l *LocalWork) SignWith(ctx context.Context, ref string, signer *sign.Signer) (inventory.Image, error) {
	image, err := l.publish.Store.Get(ctx, ref)
	if err != nil {
		return image, err
	}
	return l.signWith(ctx, image, signer)
}

func (w *imageWork) signWith(ctx context.Context, image inventory.Image, signer *sign.Signer) (inventory.Image, error) {
	if err := w.publish.SignWith(ctx, image, signer); err != nil {
		return image, err
	}
	if err := w.mirror(ctx); err != nil {
		return image, err
	}
	return w.publish.Store.Get(ctx, image.Name+"@"+image.Digest)
}

// Verify implements rest.Images. Without keys it takes those that are trusted, or the
// server's own.
func (w *imageWork) Verify(ctx context.Context, in api.ImageRefs) ([]api.ImageSigned, error) {
	image, err := w.publish.Store.Get(ctx, in.Image)
	if err != nil {
		return nil, err
	}
	keys, err := sign.ParseKeys(in.Keys)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		keys = w.publish.Keys
	}
	if len(keys) == 0 && w.publish.Signer != nil {
		keys = sign.Keys{w.publish.Signer.Public()}
	}
	if len(keys) == 0 {
		return nil, inventory.Invalid("there is no key to check with: name one (--key), or set images.trusted_keys")
	}
	good, err := w.publish.Verify(image, keys)
	signed := []api.ImageSigned{}
	for _, s := range good {
		signed = append(signed, api.ImageSigned{KeyID: s.KeyID, Comment: s.Comment})
	}
	return signed, err
}

// Diff implements rest.Images.
func (w *imageWork) Diff(ctx context.Context, in api.ImageRefs) (api.ImageDiff, error) {
	d, err := w.publish.Diff(ctx, in.Image, in.Other)
	return diffRow(d), err
}

func diffRow(d contents.Diff) api.ImageDiff {
	out := api.ImageDiff{Packages: []api.ImagePackageChange{}, Files: []api.ImageFileChange{}, AddedBytes: d.AddedBytes, RemovedBytes: d.RemovedBytes}
	for _, p := range d.Packages {
		out.Packages = append(out.Packages, api.ImagePackageChange(p))
	}
	for _, f := range d.Files {
		out.Files = append(out.Files, api.ImageFileChange(f))
	}
	return out
}

// Lint implements rest.Images.
func (w *imageWork) Lint(ctx context.Context, in api.ImageRefs) ([]api.LintFinding, error) {
	f, err := w.publish.LintImage(ctx, in.Image)
	return lintRows(f), err
}

func lintRows(findings lint.Findings) []api.LintFinding {
	rows := []api.LintFinding{}
	for _, f := range findings {
		rows = append(rows, api.LintFinding{Check: f.Check, Level: string(f.Level), Detail: f.Detail, Fix: f.Fix})
	}
	return rows
}

// LintFile looks into a disk file of any form: it is imported into a store that is thrown
// away.
func LintFile(ctx context.Context, dir string, in api.ImageImport) ([]api.LintFinding, error) {
	local, err := LocalImages(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	in.Name, in.Channel = "unnamed", noChannel
	local.later = true // the store is gone before
	image, err := local.Import(ctx, in, func(api.WorkLine) {})
	if err != nil {
		return nil, err
	}
	return local.Lint(ctx, api.ImageRefs{Image: image.Name + "@" + image.Digest})
}

// History implements rest.Images.
func (w *imageWork) History(ctx context.Context, name string) (api.ImageHistory, error) {
	h := api.ImageHistory{Moves: []inventory.ChannelMove{}, Versions: []api.ImageRow{}}
	moves, err := w.images.History(ctx, name)
	if err != nil {
		return h, err
	}
	all, err := w.images.List(ctx)
	if err != nil {
		return h, err
	}
	channels, err := w.images.Channels(ctx)
	if err != nil {
		return h, err
	}
	h.Moves = append(h.Moves, moves...)
	for _, i := range all {
		if i.Name == name {
			h.Versions = append(h.Versions, api.ImageRow{Image: i, Channels: channelsAt(channels, i)})
		}
	}
	if len(h.Versions) == 0 {
		return h, inventory.NotFound("image", name)
	}
	return h, nil
}

func channelsAt(channels []inventory.Channel, i inventory.Image) (at []string) {
	for _, c := range channels {
		if c.Name == i.Name && c.Digest == i.Digest {
			at = append(at, c.Channel)
		}
	}
	return at
}

// trust is what an agent's order has of an image's signatures.
func (w *imageWork) trust(digest string) (keys, signatures []string, err error) {
	if len(w.publish.Keys) == 0 {
		return nil, nil, nil
	}
	for _, k := range w.publish.Keys {
		keys = append(keys, k.String())
	}
	all, err := w.images.Signatures(digest)
	for _, s := range all {
		signatures = append(signatures, string(s))
	}
	return keys, signatures, err
}
