// Package hyperv is the hypervisor.Driver for Microsoft Hyper-V on Windows Server 2016 and
// later, over Windows PowerShell 5.1 and its Hyper-V module, which is reached by WinRM or
// SSH (hypervisor/hyperv/powershell).
//
// Each operation is one of scripts/*.ps1, whose text never changes: it gets a JSON document
// and answers with one. Machines are named by GUID. A machine of ours is known by a line in
// its notes, which comes last when it is made, and by its configuration's folder
// STORAGE\ingot\OWNER\ID, where all that was made for it lies. Images lie in
// STORAGE\ingot\images, fetched by the host itself, and root disks are differencing disks
// that stand on them.
//
// A script whose connection was lost may go on at the host. Each that changes something holds
// a file open while it runs, one for each machine and each image, and ends at once where
// another one holds it; a driver waits then, and looks again. What a driver decided by a look
// that is out of date (a machine appeared in the folder) the script refuses too.
//
// It was tested against hypervisor/hyperv/sim, a model of Hyper-V that knows the scripts by
// their hashes; the scripts are linted by a test and were never executed on Windows.
package hyperv
