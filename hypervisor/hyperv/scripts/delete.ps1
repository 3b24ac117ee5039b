# Takes machines away and then the folders. While disks are being merged they are in use:
# that is told, and the call repeated.
$lock = Lock-Ingot -Path $Request.Lock
$busy = ''
foreach ($folder in $Request.Folders) {
    Confirm-IngotFolder -Folder $folder -Known $Request.VmIds
}
foreach ($id in $Request.VmIds) {
    $vm = Get-IngotVM -Id $id
    if (-not $vm) {
        continue
    }
    $status = @(foreach ($one in @($vm.OperationalStatus)) { [string]$one })
    if ($status -contains 'MergingDisks' -or $status -contains 'DeletingSnapshot') {
        $busy = 'disks of checkpoints are being merged'
        continue
    }
    if (-not (Test-IngotOff -VM $vm) -and -not (Test-IngotSaved -VM $vm)) {
        Stop-VM -VM $vm -TurnOff -Force
    }
    Remove-VM -VM $vm -Force
}
foreach ($folder in $Request.Folders) {
    if ($busy -or -not (Test-Path -LiteralPath $folder)) {
        continue
    }
    try {
        Remove-Item -LiteralPath $folder -Recurse -Force
    } catch {
        if ($_.FullyQualifiedErrorId -ne 'RemoveFileSystemItemIOError,Microsoft.PowerShell.Commands.RemoveItemCommand') {
            throw
        }
        $busy = 'a file is in use in ' + $folder
    }
}
[ordered]@{ Busy = $busy }
