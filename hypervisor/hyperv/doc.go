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
// It was tested against hypervisor/hyperv/sim, a model of Hyper-V that knows the scripts by
// their hashes; the scripts are linted by a test and were never executed on Windows.
package hyperv
