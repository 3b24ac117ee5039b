// Package drivertest is the suite that every hypervisor.Driver passes, against the real
// thing or a simulator that refuses what the real thing refuses. It is imported by tests
// only.
package drivertest
