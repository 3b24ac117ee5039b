// Package recipes holds the example recipes, and the JSON Schema that recipes keep to
// (JSON Schema 2020-12). images/build reads them.
package recipes

import "embed"

// Files are the recipes (NAME.yaml) and the files they name.
//
//go:embed *.yaml
var Files embed.FS

// Schema is the JSON Schema of a recipe, for editors and for checks outside of Ingot.
//
//go:embed recipe.schema.json
var Schema []byte
