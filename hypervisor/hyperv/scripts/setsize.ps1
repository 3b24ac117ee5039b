# CPUs and memory of a machine that is off.
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
if (-not (Test-IngotOff -VM $vm)) {
    Stop-Ingot -Id IngotNotOff -Category ResourceBusy -Target $Request.VmId
}
Set-VM -VM $vm -ProcessorCount $Request.Cpus -StaticMemory -MemoryStartupBytes $Request.MemoryBytes
[ordered]@{ State = [string]$vm.State }
