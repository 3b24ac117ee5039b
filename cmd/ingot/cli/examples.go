package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are calls of the verbs, for their help; a verb's is found by its words.
var examples = []string{
	"ingot agent build --refresh",
	"ingot agent iso --address 192.0.2.1 --out ingot.iso",
	"ingot agent list -o wide",
	"ingot agent rollback",
	"ingot agent test --mode uefi,secureboot --promote",
	"ingot agent usb --address 192.0.2.1 --out ingot.usb",
	"ingot deploy metal-525400123456 --image debian-12 --hostname web1 --ssh-key ~/.ssh/id_ed25519.pub --wait",
	"ingot deploy db1 db2 --image debian-12:stable --disk transport=nvme,size>=400G,pick=smallest --overwrite",
	"ingot machine deploy web1 --image debian-12 --wait",
	"ingot events web1 --follow",
	"ingot events --limit 20 -o json",
	"ingot host add kvm2 qemu+ssh://root@kvm2/system --prefetch debian-12:stable",
	"ingot host check kvm2",
	"ingot host remove kvm2",
	"ingot host selftest kvm2 --image debian-12",
	"ingot host show kvm2",
	"ingot image build debian-12",
	"ingot image build web.yaml --channel nightly --set port=8080",
	"ingot image diff web:stable web:nightly",
	"ingot image export web web.ova",
	"ingot image gc --dry-run",
	"ingot image history web",
	"ingot image import server.qcow2 --name my-server --grow root --boots uefi",
	"ingot image import https://images.example/disk.raw.zst --name appliance --boots bios --first-boot none",
	"ingot image key create image.key",
	"ingot image lint server.qcow2 --boots uefi",
	"ingot image promote web nightly stable",
	"ingot image refresh web@sha256:0123456789ab",
	"ingot image rollback web stable",
	"ingot image rollout web --set kind=vm,name=web-* --batch 5 --max-failures 1 --pause 10m",
	"ingot image schedule log web",
	"ingot image schedule run web",
	"ingot image show web:nightly",
	"ingot image sign web --key image.key --data /var/lib/ingot",
	"ingot image test debian-12 --mode bios,uefi",
	"ingot image verify web --key image.key.pub",
	"ingot lab console bios",
	"ingot lab power bios on",
	"ingot lab up --firmware bios,secureboot --count 2 --on",
	"ingot lease list -o wide",
	"ingot machine approve metal-525400123456",
	"ingot machine list --outdated",
	"ingot machine log web1 --follow",
	"ingot machine release web1",
	"ingot machine show web1 -o yaml",
	"ingot machine wait web1 web2 --for deployed --timeout 1h",
	"ingot network remove rack1",
	"ingot serve --interface eth1 --data /srv/ingot",
	"ingot vm adopt old-web --on kvm2 --name web",
	"ingot vm console web",
	"ingot vm create web --wait",
	"ingot vm create db --cpus 4 --memory 8G --disk 40G --on kvm2 --secure-boot --tpm",
	"ingot vm create worker --count 3 --on any",
	"ingot vm delete web",
	"ingot vm drift",
	"ingot vm resize web --memory 4G --disk 60G",
	"ingot vm snapshot create web before-upgrade",
	"ingot vm ssh web",
	"ingot vm stop web --timeout 1m --force",
	"ingot why web1",
}

// addExamples gives the verbs their examples.
func addExamples(root *cobra.Command) {
	for _, line := range examples {
		cmd, _, err := root.Find(strings.Fields(line)[1:])
		if err != nil {
			panic("cli: example " + line)
		}
		cmd.Example = strings.TrimPrefix(cmd.Example+"\n  "+line, "\n")
	}
}
