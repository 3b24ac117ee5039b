package daemon

import (
	"context"
	"log/slog"

	"ingot/images/sign"
	"ingot/inventory"
)

// SignImage signs an image of a data directory with a key file.
func SignImage(ctx context.Context, data, ref, key string, password func() (string, error), log *slog.Logger) (inventory.Image, error) {
	signer, err := sign.OpenSigner(key, password)
	if err != nil {
		return inventory.Image{}, err
	}
	local, err := LocalImages(data, log)
	if err != nil {
		return inventory.Image{}, err
	}
	return local.SignWith(ctx, ref, signer)
}

// PublicKey is the text of a public key, or of a key file.
func PublicKey(name string) (string, error) {
	k, err := sign.LoadKey(name)
	return k.String(), err
}

// CreateKey makes a pair of keys.
func CreateKey(path, password string) (id, public string, err error) {
	k, err := sign.Create(path, password)
	if err != nil {
		return "", "", err
	}
	return k.ID(), k.String(), nil
}
