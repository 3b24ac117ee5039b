# Takes a checkpoint, of the machine's own kind (we set Production).
$vm = Get-VM -Id $Request.VmId
Checkpoint-VM -VM $vm -SnapshotName $Request.Name
[ordered]@{ State = [string](Get-VM -Id $Request.VmId).State }
