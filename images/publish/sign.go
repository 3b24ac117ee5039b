package publish

import (
	"context"
	"errors"
	"fmt"

	"ingot/images/sign"
	"ingot/inventory"
)

// document is an image's manifest, which is what is signed.
func (p *Publisher) document(image inventory.Image) ([]byte, error) {
	m, err := p.Store.Open(image.Digest)
	if err != nil {
		return nil, err
	}
	return m.Document, m.Close()
}

// Sign signs an image with the publisher's key, where it has one. What it has signed it
// does not sign again.
func (p *Publisher) Sign(ctx context.Context, image inventory.Image) error {
	if p.Signer == nil {
		return nil
	}
	return p.SignWith(ctx, image, p.Signer)
}

// SignWith signs an image with any key.
func (p *Publisher) SignWith(ctx context.Context, image inventory.Image, signer *sign.Signer) error {
	document, err := p.document(image)
	if err != nil {
		return fmt.Errorf("sign image %s: %w", image.Name, err)
	}
	there, err := p.Store.Signatures(image.Digest)
	if err != nil {
		return err
	}
	id := signer.Public().ID()
	if _, err := (sign.Keys{signer.Public()}).Verify(document, there[id]); err == nil {
		return nil
	}
	return p.Store.PutSignature(ctx, image.Digest, id, signer.Sign(image, document, p.Now()))
}

// Verify checks each signature of an image against keys. It is inventory.ErrDenied when
// none of them is right; the others are left out.
func (p *Publisher) Verify(image inventory.Image, keys sign.Keys) ([]sign.Signed, error) {
	document, err := p.document(image)
	if err != nil {
		return nil, err
	}
	signatures, err := p.Store.Signatures(image.Digest)
	if err != nil {
		return nil, err
	}
	var good []sign.Signed
	var errs []error
	for _, s := range signatures {
		signed, err := keys.Verify(document, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		good = append(good, signed)
	}
	switch {
	case len(good) > 0:
		return good, nil
	case len(errs) > 0:
		return nil, fmt.Errorf("image %s: %w", image.Name, errors.Join(errs...))
	}
	return nil, fmt.Errorf("image %s is not signed: ingot image sign %s@%s: %w", image.Name, image.Name, image.Digest, inventory.ErrDenied)
}

// trusted refuses an image that none of the configured keys signed.
func (p *Publisher) trusted(ctx context.Context, image inventory.Image) error {
	if len(p.Keys) == 0 {
		return nil
	}
	document, err := p.document(image)
	if err != nil {
		return err
	}
	signatures, err := p.Store.Signatures(image.Digest)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	return p.Keys.Trust(document, signatures)
}
