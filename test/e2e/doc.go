// Package e2e drives whole deployments: a real ingot serve in the virtual rack's
// namespace, QEMU machines with real firmware, from power-on to phone-home. It needs
// root, network namespaces and QEMU, and runs when INGOT_TEST_E2E is set (scripts/test
// sets it); the images and boot files are built once into INGOT_TEST_CACHE.
package e2e
