// Package build makes golden images from recipes: a raw disk with a GPT that
// starts under BIOS, UEFI and UEFI Secure Boot, with the boot loaders that Debian
// and Microsoft signed.
package build
