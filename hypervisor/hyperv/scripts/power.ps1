# Looks at a machine's state, or starts what changes it. Asking the guest returns at once
# (Msvm_ShutdownComponent.InitiateShutdown): a guest that does not go is left as it is.
if ($Request.Action -ne 'look') {
    $lock = Lock-Ingot -Path $Request.Lock
}
$vm = Get-VM -Id $Request.VmId
$code = [int64]0
if ($Request.Action -eq 'start') {
    if ([string]$vm.State -eq 'Paused') {
        Resume-VM -VM $vm
    } elseif ([string]$vm.State -ne 'Running') {
        Start-VM -VM $vm
    }
} elseif ($Request.Action -eq 'turnoff') {
    if (Test-IngotSaved -VM $vm) {
        Remove-VMSavedState -VM $vm
    } elseif (-not (Test-IngotOff -VM $vm)) {
        Stop-VM -VM $vm -TurnOff -Force
    }
} elseif ($Request.Action -eq 'shutdown') {
    $guest = @(Get-CimInstance -Namespace root/virtualization/v2 -ClassName Msvm_ShutdownComponent | Where-Object -FilterScript { $_.SystemName -eq [string]$vm.Id })
    if ($guest.Count -eq 0) {
        $code = [int64]32770
    } else {
        $code = [int64](Invoke-CimMethod -InputObject $guest[0] -MethodName InitiateShutdown -Arguments @{ Force = $true; Reason = 'ingot' }).ReturnValue
    }
}
[ordered]@{ State = [string](Get-VM -Id $Request.VmId).State; Code = $code }
