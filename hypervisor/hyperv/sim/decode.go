package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// decode reads a request: each field of the type must be there by its exact name, and no
// other. A null is refused: ConvertFrom-Json makes $null of it, and @($null) has one
// element.
func decode(raw []byte, into any) error {
	if err := fits(raw, reflect.TypeOf(into).Elem(), "$Request"); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func fits(raw []byte, t reflect.Type, at string) error {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return fmt.Errorf("%s is null", at)
	}
	switch t.Kind() {
	case reflect.Struct:
		return fitsStruct(raw, t, at)
	case reflect.Slice:
		var all []json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		for i, one := range all {
			if err := fits(one, t.Elem(), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func fitsStruct(raw []byte, t reflect.Type, at string) error {
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Name
		if tag := f.Tag.Get("json"); tag != "" {
			name = tag
		}
		field, ok := has[name]
		if !ok {
			return fmt.Errorf("%s has no %s", at, name)
		}
		if err := fits(field, f.Type, at+"."+name); err != nil {
			return err
		}
		delete(has, name)
	}
	for name := range has {
		return fmt.Errorf("%s has the unknown field %s", at, name)
	}
	return nil
}
