// Package fleet carries out lifecycle's steps for VMs, over any driver: it places a
// machine on a host, brings the image there, makes the machine with its seed, and deletes
// it.
//
// What is to be done stands in the inventory alone: Run looks for machines that lifecycle
// left in a phase of its, works on each until a report of this generation stands, and can
// be killed at any point. Drivers look before they act, so the work begun again finds what
// is there.
package fleet
