package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// agentState is what a fake agent remembers between its commands.
type agentState struct {
	MAC        inventory.MAC `json:"mac"`
	Boot       string        `json:"boot"`
	Token      string        `json:"token"`
	Generation int64         `json:"generation"`
	PhoneHome  string        `json:"phoneHome"`
}

// fakeAgent MAC VERB: does one thing that an agent does.
func fakeAgent(args []string) int {
	if err := runAgent(args); err != nil {
		fmt.Fprintln(os.Stderr, "fakeagent:", err)
		return 1
	}
	return 0
}

func runAgent(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: fakeagent MAC hello|facts|order KIND|progress PERCENT|log TEXT|report ok|REASON|phone-home")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	file := strings.ReplaceAll(args[0], ":", "") + ".agent"
	state := agentState{MAC: inventory.MAC(args[0])}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &state); err != nil {
			return err
		}
	}
	pin, err := serverPin()
	if err != nil {
		return err
	}
	c := agentapi.NewClient("https://127.0.0.1:"+os.Getenv("INGOT_MACHINE_TLS_PORT"), pin)
	c.Token = state.Token
	if err := state.do(ctx, c, args[1], strings.Join(args[2:], " ")); err != nil {
		return err
	}
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// serverPin is what the boot script would tell the agent.
func serverPin() (string, error) {
	file := filepath.Join(os.Getenv("INGOT_DATA"), "tls.pem")
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", err
	}
	return agentapi.Pin(leaf), nil
}

func (s *agentState) do(ctx context.Context, c *agentapi.Client, verb, arg string) error {
	switch verb {
	case "hello":
		s.Boot = agentapi.NewBoot()
		w, err := c.Hello(ctx, agentapi.Hello{Boot: s.Boot, Identity: s.facts().Identity(), BootMAC: s.MAC, Firmware: inventory.FirmwareBIOS})
		s.Token = c.Token
		fmt.Println(w.Name)
		return err
	case "facts":
		return c.Facts(ctx, s.facts())
	case "order":
		return s.order(ctx, c, agentapi.OrderKind(arg))
	case "progress":
		var percent int64
		if _, err := fmt.Sscan(arg, &percent); err != nil {
			return err
		}
		return c.Beat(ctx, agentapi.Beat{Generation: s.Generation, Progress: &inventory.Progress{Step: "write", Bytes: percent * 1e7, TotalBytes: 1e9}})
	case "log":
		return c.Log(ctx, []byte(arg+"\n"))
	case "report":
		return c.Report(ctx, s.report(arg))
	case "phone-home":
		return s.phoneHome(ctx)
	}
	return fmt.Errorf("verb %q is not known", verb)
}

func (s *agentState) facts() *inventory.Facts {
	serial := "SN-" + strings.ReplaceAll(string(s.MAC), ":", "")
	return &inventory.Facts{
		System:   inventory.System{Manufacturer: "Acme", Product: "Rack 1", Serial: serial},
		Firmware: inventory.Firmware{Vendor: "SeaBIOS", Version: "1.16", Mode: inventory.FirmwareBIOS, SecureBoot: inventory.SecureBootUnsupported},
		CPUs:     []inventory.CPU{{Model: "Test CPU", Cores: 2, Threads: 4}},
		Memory:   inventory.Memory{TotalBytes: 8e9},
		Disks:    []inventory.Disk{{Name: "sda", Model: "Test Disk", Serial: "D-" + serial, SizeBytes: 64e9, LogicalSectorBytes: 512, Transport: "sata"}},
		NICs:     []inventory.NIC{{Name: "eth0", MAC: s.MAC, Driver: "e1000e", Link: true, SpeedMbps: 1000, Boot: true}},
	}
}

var phoneHomeURL = regexp.MustCompile(`http://[^ \n]*/phone-home/[^ \n]*`)

// order polls until the order comes, and keeps where to phone home from its seed.
func (s *agentState) order(ctx context.Context, c *agentapi.Client, want agentapi.OrderKind) error {
	for {
		o, err := c.Order(ctx, s.Generation)
		if err != nil {
			return err
		}
		if o.Kind != want {
			continue
		}
		s.Generation = o.Generation
		fmt.Println(o.Kind, o.Generation)
		if o.Deploy == nil {
			return nil
		}
		seed, err := agentapi.UnpackSeed(o.Deploy.Seed)
		s.PhoneHome = string(phoneHomeURL.Find(seed))
		fmt.Println(o.Deploy.Image, "to", o.Deploy.Disk)
		return err
	}
}

func (s *agentState) report(outcome string) inventory.Report {
	r := inventory.Report{Generation: s.Generation, Order: string(agentapi.OrderDeploy), OK: outcome == "ok", Disk: "sda", Duration: time.Second}
	if !r.OK {
		r.Failure = &inventory.Failure{Step: "write", Reason: outcome, Permanent: true, Try: "mend it"}
	}
	return r
}

// phoneHome is what the installed system does.
func (s *agentState) phoneHome(ctx context.Context) error {
	form := url.Values{"hostname": {"installed"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.PhoneHome, bytes.NewReader([]byte(form)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("phone-home: %s", resp.Status)
	}
	return nil
}
