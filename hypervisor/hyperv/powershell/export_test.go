package powershell

import "crypto/x509"

// WithRoots is a configuration that trusts these authorities.
func WithRoots(c WinRMConfig, roots *x509.CertPool) WinRMConfig {
	c.roots = roots
	return c
}

// WithConfigFile is a configuration with another file than ssh's own.
func WithConfigFile(c SSHConfig, file string) SSHConfig {
	c.configFile = file
	return c
}
