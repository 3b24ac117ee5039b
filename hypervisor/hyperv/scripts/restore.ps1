# Goes back to a checkpoint and leaves the machine off: a standard checkpoint of a machine
# that ran comes back as a saved one.
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
$found = @(Get-VMSnapshot -VM $vm | Where-Object -FilterScript { [string]$_.Id -eq $Request.CheckpointId })
if ($found.Count -eq 0) {
    Stop-Ingot -Id IngotNoCheckpoint -Category ObjectNotFound -Target $Request.CheckpointId
}
if (-not (Test-IngotOff -VM $vm) -and -not (Test-IngotSaved -VM $vm)) {
    Stop-VM -VM $vm -TurnOff -Force
}
Restore-VMSnapshot -VMSnapshot $found[0] -Confirm:$false
$vm = Get-VM -Id $Request.VmId
if (Test-IngotSaved -VM $vm) {
    Remove-VMSavedState -VM $vm
} elseif (-not (Test-IngotOff -VM $vm)) {
    Stop-VM -VM $vm -TurnOff -Force
}
[ordered]@{ State = [string](Get-VM -Id $Request.VmId).State }
