# Takes a checkpoint, of the machine's own kind (we set Production).
$lock = Lock-Ingot -Path $Request.Lock
$vm = Get-VM -Id $Request.VmId
Checkpoint-VM -VM $vm -SnapshotName $Request.Name
[ordered]@{ State = [string](Get-VM -Id $Request.VmId).State }
