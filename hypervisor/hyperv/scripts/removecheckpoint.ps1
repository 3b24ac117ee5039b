# Removes one checkpoint; those taken after it stay. The merge goes on in the background.
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
foreach ($checkpoint in @(Get-VMSnapshot -VM $vm | Where-Object -FilterScript { [string]$_.Id -eq $Request.CheckpointId })) {
    Remove-VMSnapshot -VMSnapshot $checkpoint -Confirm:$false
}
[ordered]@{ State = [string](Get-VM -Id $Request.VmId).State }
