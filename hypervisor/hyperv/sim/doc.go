// Package sim is a Hyper-V host for tests: a model in memory that knows the scripts of
// hypervisor/hyperv by their hashes, takes their requests field by field, and does what
// their cmdlets would do, one after another, with Hyper-V's rules (rules.go names each with
// its source). A script that it does not know, or a request with a field too many or too
// few, is refused.
//
// What is fetched is really fetched, by HTTPS. Nothing happens by the clock: guests shut
// down and disks are merged after a number of looks.
//
// A cut can be made before or after each changing cmdlet, the connection can be taken away,
// and scripts can be held. A script whose connection broke can go on later, beside others
// (Strand), and each that changes something must hold its lock. It proves what a driver makes of Hyper-V's rules; that the
// scripts do what the model does, only Windows can prove. It is imported by tests only.
package sim
