# A machine's checkpoints, and whether disks are being merged after one was removed.
$vm = Get-VM -Id $Request.VmId
[ordered]@{
    Current     = [string]$vm.ParentSnapshotId
    Status      = @(foreach ($status in @($vm.OperationalStatus)) { [string]$status })
    Checkpoints = @(foreach ($checkpoint in @(Get-VMSnapshot -VM $vm | Where-Object -FilterScript { [string]$_.SnapshotType -eq 'Standard' })) {
            [ordered]@{
                CheckpointId = [string]$checkpoint.Id
                Name         = [string]$checkpoint.Name
                Created      = $checkpoint.CreationTime.ToUniversalTime().ToString('o', [System.Globalization.CultureInfo]::InvariantCulture)
            }
        })
}
