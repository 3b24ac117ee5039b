package guestrun

import (
	_ "embed" // the guest's script
	"fmt"

	"gopkg.in/yaml.v3"

	"ingot/inventory"
	"ingot/inventory/seed"
)

// portName is the virtio-serial port of the channel.
const portName = "org.ingot.run.0"

//go:embed agent.sh
var agent string

// launch starts the agent as early as cloud-init can, beside it: under systemd as a
// unit of its own, which need not wait for the boot to be complete.
const launch = `mkdir -p /run/ingot-run && cat > /run/ingot-run.sh <<'INGOT-RUN-END'
` + "%s" + `INGOT-RUN-END
if [ -d /run/systemd/system ]; then
  systemd-run --quiet --no-block --unit=ingot-run --collect --property=DefaultDependencies=no --property=KillMode=process /bin/sh /run/ingot-run.sh
else
  setsid /bin/sh /run/ingot-run.sh >/dev/null 2>&1 </dev/null &
fi`

// UserData is a cloud-config document that opens the channel; config may add other
// keys (not bootcmd).
func UserData(config map[string]any) ([]byte, error) {
	doc := map[string]any{"bootcmd": []any{[]string{"/bin/sh", "-c", fmt.Sprintf(launch, agent)}}}
	for key, value := range config {
		if _, taken := doc[key]; taken {
			return nil, inventory.Invalid("user data: key %s is the channel's", key)
		}
		doc[key] = value
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write user data: %w", err)
	}
	return append([]byte("#cloud-config\n"), out...), nil
}

// quietSeed is a seed that opens the channel and changes as little else as cloud-init
// can be told to: no user, no host name. Host keys are made, so that sshd starts.
func quietSeed(instance string) ([]byte, error) {
	user, err := UserData(map[string]any{"users": []string{},
		"preserve_hostname": true, "manage_etc_hosts": false, "apt": map[string]any{"preserve_sources_list": true}, "package_update": false})
	if err != nil {
		return nil, err
	}
	return seed.Pack(seed.Documents{
		MetaData: []byte("instance-id: " + instance + "\n"), UserData: user, VendorData: []byte("#cloud-config\n{}\n"),
		NetworkConfig: []byte("version: 2\nethernets:\n  nic0:\n    match: {macaddress: \"" + guestMAC.String() + "\"}\n    dhcp4: true\n"),
	}, sectorBytes)
}
