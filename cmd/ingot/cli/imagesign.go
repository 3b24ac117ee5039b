package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) imageSign() *cobra.Command {
	var key, data string
	cmd := &cobra.Command{Use: "sign REF", Short: "Sign an image with the server's key, or with one of yours in a data directory", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		image, err := a.signed(cmd, args[0], key, data)
		if err != nil {
			return err
		}
		return a.documentOr(image, func() error {
			fmt.Fprintf(a.out, "%s@%s is signed by %s\n", image.Name, image.Digest, strings.Join(image.Signers, ", "))
			return nil
		})
	}}
	cmd.Flags().StringVar(&key, "key", "", "minisign secret key file (needs --data)")
	cmd.Flags().StringVar(&data, "data", "", "the server's data directory")
	return cmd
}

func (a *app) signed(cmd *cobra.Command, ref, key, data string) (inventory.Image, error) {
	if (key == "") != (data == "") {
		return inventory.Image{}, usage("--key and --data go together: a key signs in the data directory, without a server")
	}
	if err := existingData(data); err != nil {
		return inventory.Image{}, err
	}
	if key != "" {
		return daemon.SignImage(cmd.Context(), data, ref, key, password(cmd, "password of "+key), a.warnings())
	}
	c, err := a.client()
	if err != nil {
		return inventory.Image{}, err
	}
	return c.Sign(cmd.Context(), api.ImageRefs{Image: ref})
}

// password asks for one on a terminal, or takes it from INGOT_IMAGE_KEY_PASSWORD.
func password(cmd *cobra.Command, prompt string) func() (string, error) {
	return func() (string, error) {
		if p, ok := os.LookupEnv("INGOT_IMAGE_KEY_PASSWORD"); ok {
			return p, nil
		}
		in, _ := cmd.InOrStdin().(*os.File)
		if in == nil || !term.IsTerminal(int(in.Fd())) {
			return "", usage("no password: there is no terminal, set INGOT_IMAGE_KEY_PASSWORD")
		}
		fmt.Fprint(cmd.ErrOrStderr(), prompt+": ")
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
}

func (a *app) imageVerify() *cobra.Command {
	var keys []string
	cmd := a.imageCall("verify REF", "Check an image's signatures", 1, func(ctx context.Context, c *api.Client, args []string) error {
		in := api.ImageRefs{Image: args[0]}
		for _, k := range keys {
			text, err := daemon.PublicKey(k)
			if err != nil {
				return err
			}
			in.Keys = append(in.Keys, text)
		}
		signed, err := c.Verify(ctx, in)
		if err != nil {
			return err
		}
		return a.documentOr(signed, func() error {
			for _, s := range signed {
				fmt.Fprintf(a.out, "signed by %s: %s\n", s.KeyID, strings.ReplaceAll(s.Comment, "\t", " "))
			}
			return nil
		})
	})
	cmd.Flags().StringArrayVar(&keys, "key", nil, "minisign public key, or its file (default: the server's trusted keys)")
	return cmd
}

func (a *app) imageKey() *cobra.Command {
	var plain bool
	create := &cobra.Command{Use: "create FILE", Short: "Make a pair of keys: FILE and FILE.pub", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		secret := ""
		if !plain {
			var err error
			if secret, err = password(cmd, "password of the new key")(); err != nil {
				return err
			}
			if secret == "" {
				return usage("an empty password: say --no-password for a key without one")
			}
		}
		path, err := filepath.Abs(args[0])
		if err != nil {
			return fmt.Errorf("find %s: %w", args[0], err)
		}
		id, public, err := daemon.CreateKey(path, secret)
		if err != nil {
			return err
		}
		return a.documentOr(map[string]string{"id": id, "public": public}, func() error {
			fmt.Fprintf(a.out, "key %s: %s and %s.pub\nin the configuration: images.signing_key: %s, images.trusted_keys: [%s]\n", id, path, path, path, public)
			return nil
		})
	}}
	create.Flags().BoolVar(&plain, "no-password", false, "do not encrypt the secret key")
	return group("key", "Keys that sign images", create)
}
