# Writes a machine's notes, if they still are what they were when they were read.
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
if ([string]$vm.Notes -cne $Request.Before) {
    Stop-Ingot -Id IngotNotesChanged -Category ResourceBusy -Target $Request.VmId
}
Set-VM -VM $vm -Notes $Request.Notes
[ordered]@{ State = [string]$vm.State }
