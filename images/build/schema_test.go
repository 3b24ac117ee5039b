package build_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"ingot/images/build"
	"ingot/images/recipes"
)

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(recipes.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("recipe.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("recipe.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks a YAML document by the schema.
func validate(s *jsonschema.Schema, document []byte) error {
	var value any
	dec := yaml.NewDecoder(bytes.NewReader(document))
	if err := dec.Decode(&value); err != nil {
		return err
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		return errors.New("more than one document")
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// TestSchemaAgrees compares the keys of the schema and of the Go types.
func TestSchemaAgrees(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(recipes.Schema, &root); err != nil {
		t.Fatal(err)
	}
	defs := root["$defs"].(map[string]any)
	var compare func(key string, schema map[string]any, goType reflect.Type)
	compare = func(key string, schema map[string]any, goType reflect.Type) {
		if ref, ok := schema["$ref"].(string); ok {
			schema = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		for goType.Kind() == reflect.Pointer {
			goType = goType.Elem()
		}
		switch goType.Kind() {
		case reflect.Slice:
			if schema["type"] != "array" {
				t.Errorf("%s: a list in Go, %v in the schema", key, schema["type"])
				return
			}
			compare(key+"[]", schema["items"].(map[string]any), goType.Elem())
		case reflect.Struct:
			have, _ := schema["properties"].(map[string]any)
			want := build.FieldsOf(goType)
			if schema["additionalProperties"] != false {
				t.Errorf("%s: the schema allows unknown keys", key)
			}
			for name := range have {
				if want[name] == nil {
					t.Errorf("%s.%s: only in the schema", key, name)
				}
			}
			for name, field := range want {
				if have[name] == nil {
					t.Errorf("%s.%s: not in the schema", key, name)
					continue
				}
				if have[name].(map[string]any)["description"] == nil && have[name].(map[string]any)["$ref"] == nil {
					t.Errorf("%s.%s: no description", key, name)
				}
				compare(key+"."+name, have[name].(map[string]any), field)
			}
		}
	}
	compare("", root, reflect.TypeFor[build.Recipe]())
}
