package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Command returns a command that runs in a network namespace. It is killed when
// ctx ends.
func Command(ctx context.Context, namespace, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", namespace, name}, args...)...)
}

// ip runs iproute2 with the lines as its batch; one fails, all after it are left out.
func ip(ctx context.Context, namespace string, lines ...string) error {
	args := []string{"-batch", "-"}
	if namespace != "" {
		args = append([]string{"-netns", namespace}, args...)
	}
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("ip is not here: install it with `apt-get install --no-install-recommends iproute2`")
	}
	if err != nil {
		return fmt.Errorf("set up network in namespace %q: %w: %s", namespace, err, bytes.TrimSpace(out))
	}
	return nil
}

// upNetwork makes namespaces and bridges. Namespaces of that name must not exist.
func (s Spec) upNetwork(ctx context.Context) error {
	for _, ns := range s.namespaces() {
		if err := ip(ctx, "", "netns add "+ns); err != nil {
			return err
		}
		if err := ip(ctx, ns, "link set lo up", "link add "+sink+" type bridge"); err != nil {
			return err
		}
	}
	for _, n := range s.Networks {
		if err := ip(ctx, s.namespaceOf(n), bridgeLines(n)...); err != nil {
			return err
		}
	}
	for _, n := range s.Networks {
		if n.Router == nil {
			continue
		}
		if err := s.upRouter(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// sink is a bridge that stays down, so its ports drop all they receive.
const sink = "sink"

// bridgeLines make the network's bridge. It has an address of its own, or it would
// change with the taps, and a port that is always up, or it would lose its carrier
// with the last machine: one end of a veth pair, since not every kernel has dummy
// devices. The other end must not take part in IP, or the server would answer ARP
// there too, so it is a port of the sink.
func bridgeLines(n Network) []string {
	lines := []string{
		"link add " + n.Name + " address " + derivedMAC("bridge", n.Name, 0) + " type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"link add " + n.Name + "-sw type veth peer name " + n.Name + "-ws",
		"link set " + n.Name + "-ws master " + sink + " up",
		"link set " + n.Name + "-sw master " + n.Name + " up",
	}
	if n.Address.IsValid() {
		lines = append(lines, "address add "+n.Address.String()+" broadcast + dev "+n.Name)
	}
	return append(lines, "link set "+n.Name+" up")
}

// upRouter joins the namespace of a routed network to its uplink.
func (s Spec) upRouter(ctx context.Context, n Network) error {
	up, _ := s.network(n.Router.Uplink)
	inner := s.namespaceOf(n)
	port := n.Name + "-up"
	err := ip(ctx, s.namespace(),
		"link add "+port+" type veth peer name uplink netns "+inner,
		"link set "+port+" master "+up.Name+" up")
	if err != nil {
		return err
	}
	err = ip(ctx, inner,
		fmt.Sprintf("address add %v/%d broadcast + dev uplink", n.Router.Address, up.Address.Bits()),
		"link set uplink up",
		"route add default via "+up.Address.Addr().String())
	if err != nil {
		return err
	}
	forward := Command(ctx, inner, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	if out, err := forward.CombinedOutput(); err != nil {
		return fmt.Errorf("switch on forwarding in namespace %q: %w: %s", inner, err, bytes.TrimSpace(out))
	}
	return ip(ctx, s.namespace(), "route add "+n.Address.Masked().String()+" via "+n.Router.Address.String())
}

// upTaps makes the devices behind a machine's cards, anew: a tap is set down when
// QEMU lets go of it.
func (s Spec) upTaps(ctx context.Context, m Machine, number int) error {
	for i, nic := range m.NICs {
		n, _ := s.network(nic.Network)
		ns, tap := s.namespaceOf(n), tapName(number, i)
		exists := exec.CommandContext(ctx, "ip", "-netns", ns, "link", "show", tap).Run() == nil
		var lines []string
		if !exists {
			lines = append(lines, "tuntap add dev "+tap+" mode tap")
		}
		if err := ip(ctx, ns, append(lines, "link set "+tap+" master "+n.Name+" up")...); err != nil {
			return err
		}
	}
	return nil
}

// downNetwork removes the namespaces, and their devices at once, which would
// otherwise live as long as any process there. What is not there is no error.
func (s Spec) downNetwork(ctx context.Context) error {
	present, err := namespaces(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, ns := range slices.Backward(s.namespaces()) {
		if !slices.Contains(present, ns) {
			continue
		}
		errs = append(errs, s.downDevices(ctx, ns), ip(ctx, "", "netns delete "+ns))
	}
	return errors.Join(errs...)
}

// downDevices deletes all devices but lo. Some go with another one, so an error
// counts only when a device is left.
func (s Spec) downDevices(ctx context.Context, ns string) error {
	names, err := devices(ctx, ns)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, ip(ctx, ns, "link delete "+name))
	}
	left, err := devices(ctx, ns)
	if err != nil || len(left) == 0 {
		return err
	}
	return errors.Join(errs...)
}

// devices lists the network devices of a namespace, without lo.
func devices(ctx context.Context, ns string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ip", "-netns", ns, "-oneline", "link", "show").Output()
	if err != nil {
		return nil, fmt.Errorf("list devices of namespace %q: %w", ns, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.Fields(line)[1], ":"), "@")
		if name != "lo" {
			names = append(names, name)
		}
	}
	return names, nil
}

// namespaces are the network namespaces of this host that have a name.
func namespaces(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ip", "netns", "list").Output()
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		names = append(names, strings.Fields(line)[0])
	}
	return names, nil
}
