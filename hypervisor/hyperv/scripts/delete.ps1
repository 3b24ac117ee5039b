# Takes machines away and then the folder. While disks are being merged they are in use:
# that is told, and the call repeated.
$busy = $false
foreach ($id in $Request.VmIds) {
    $vm = Get-IngotVM -Id $id
    if (-not $vm) {
        continue
    }
    $status = @(foreach ($one in @($vm.OperationalStatus)) { [string]$one })
    if ($status -contains 'MergingDisks' -or $status -contains 'DeletingSnapshot') {
        $busy = $true
        continue
    }
    if (-not (Test-IngotOff -VM $vm) -and -not (Test-IngotSaved -VM $vm)) {
        Stop-VM -VM $vm -TurnOff -Force
    }
    Remove-VM -VM $vm -Force
}
if ($Request.Folder -and -not $busy -and (Test-Path -LiteralPath $Request.Folder)) {
    try {
        Remove-Item -LiteralPath $Request.Folder -Recurse -Force
    } catch {
        if ($_.FullyQualifiedErrorId -ne 'RemoveFileSystemItemIOError,Microsoft.PowerShell.Commands.RemoveItemCommand') {
            throw
        }
        $busy = $true
    }
}
[ordered]@{ Busy = $busy }
