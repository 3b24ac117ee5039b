// Package agentapi is what the boot service and the agent on a machine say to each
// other: the wire types, the agent's client, the server's handlers, session tokens.
//
// The conversation, all of it over TLS pinned to the key that the kernel command line
// names: hello (who am I, which boot) → token; facts; then a long poll for orders;
// beats and log lines while one is carried out; a report when it is done. The agent
// stays up between orders.
//
// # Trust
//
// A MAC is a name, not a proof. Any agent may say hello and tell facts. Orders that
// hold secrets (a deploy's seed) go only to a session that claimed them after the
// machine was approved; while one session is alive, a second hello for the same
// machine is refused and raises an alarm. The pin crosses the wire in clear with the
// boot script, so a first boot is trust on first use.
package agentapi
