# Makes a machine's virtual disk larger; one that is so large already is left alone.
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
if (@(Get-VMSnapshot -VM $vm).Count -gt 0) {
    Stop-Ingot -Id IngotHasCheckpoints -Category ResourceBusy -Target $Request.Path
}
if ([int64](Get-VHD -Path $Request.Path).Size -lt [int64]$Request.SizeBytes) {
    Resize-VHD -Path $Request.Path -SizeBytes $Request.SizeBytes
}
[ordered]@{ SizeBytes = [int64](Get-VHD -Path $Request.Path).Size }
