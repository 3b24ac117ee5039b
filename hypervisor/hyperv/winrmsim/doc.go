// Package winrmsim is a Windows computer's WinRM service for tests: WS-Management over
// HTTPS with command shells (MS-WSMV, DSP0226), strict where the real one is documented to
// be. It checks NTLMv2 responses with their integrity code and channel binding, Basic and
// client certificates; it enforces envelope sizes, timeouts, quotas and the rules of the
// protocol's headers, and refuses with the real faults. Each refusal in the code names its
// source.
//
// What runs in its shells is a Handler; PowerShell is one that takes this program's
// scripts. Requests can be made to fail, to hang and to lose their connection; they are
// recorded without secrets. It listens on the loopback address, and is imported by tests
// only.
//
// It was written from the specifications and from what other clients' issues report, and
// checked with pywinrm and masterzen/winrm as clients. It was never compared with Windows.
package winrmsim
