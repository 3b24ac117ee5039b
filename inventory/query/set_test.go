package query_test

import (
	"errors"
	"testing"

	"ingot/inventory"
	"ingot/inventory/query"
)

func TestSet(t *testing.T) {
	web := &inventory.Machine{Name: "web-1", Kind: inventory.KindVM, Spec: inventory.Spec{Image: "debian-12:stable", VM: &inventory.VMSpec{Host: "kvm1"}}, Status: inventory.Status{State: inventory.Deployed}}
	metal := &inventory.Machine{Name: "rack4-u10", Kind: inventory.KindMetal, Position: &inventory.Position{Rack: "4"}, Status: inventory.Status{State: inventory.Ready, Firmware: "uefi"}}
	for text, want := range map[string][2]bool{
		"web-1":                    {true, false},
		"web-*":                    {true, false},
		"*":                        {true, true},
		"kind=metal":               {false, true},
		"kind!=metal":              {true, false},
		"name=web-*|rack4-*":       {true, true},
		"kind=vm,host=kvm1":        {true, false},
		"kind=vm, host=kvm2":       {false, false},
		"image=debian-12":          {true, false},
		"image!=debian-12":         {false, true},
		"rack=4,state=ready":       {false, true},
		"rack!=4":                  {true, false},
		"firmware=uefi":            {false, true},
		"state!=ready|deployed":    {false, false},
		"name=rack4-u[0-9][0-9]":   {false, true},
		"name=web-?,state=deploye": {false, false},
	} {
		s, err := query.Parse(text)
		if got := [2]bool{s.Has(web), s.Has(metal)}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "colour=red", "name=", "name=[", "kind=vm,", "=x", "a|"} {
		if _, err := query.Parse(text); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"web-*", "kind=vm,name=a|b", "state!=ready", "[", "=", "!="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := query.Parse(text); err == nil {
			s.Has(&inventory.Machine{Name: "x"})
		}
	})
}
