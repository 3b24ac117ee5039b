# Makes a machine, powered off. Its notes say that it is being made until all is done; what
# a cut leaves is taken away before this runs again.
$lock = Lock-Ingot -Path $Request.Lock
Confirm-IngotFolder -Folder $Request.Folder -Known @()
if (Test-Path -LiteralPath $Request.Folder) {
    Remove-Item -LiteralPath $Request.Folder -Recurse -Force
}
$null = New-Item -ItemType Directory -Path $Request.Folder -Force

foreach ($disk in $Request.Disks) {
    if ($disk.Parent) {
        $made = New-VHD -Path $disk.Path -ParentPath $disk.Parent -Differencing
        if ([int64]$disk.SizeBytes -gt [int64]$made.Size) {
            Resize-VHD -Path $disk.Path -SizeBytes $disk.SizeBytes
        }
    } else {
        $null = New-VHD -Path $disk.Path -SizeBytes $disk.SizeBytes -Dynamic -BlockSizeBytes 1048576
    }
}
if ($Request.Seed.Gzip) {
    $packed = [System.IO.MemoryStream]::new([System.Convert]::FromBase64String($Request.Seed.Gzip))
    $gzip = [System.IO.Compression.GZipStream]::new($packed, [System.IO.Compression.CompressionMode]::Decompress)
    $file = [System.IO.File]::Create($Request.Seed.Path)
    try {
        $gzip.CopyTo($file)
    } finally {
        $file.Dispose()
        $gzip.Dispose()
    }
    if ((Get-FileHash -LiteralPath $Request.Seed.Path -Algorithm SHA256).Hash -ne $Request.Seed.Sha256) {
        Stop-Ingot -Id IngotWrongHash -Category InvalidData -Target $Request.Seed.Path
    }
}

$vm = New-VM -Name $Request.Name -Path $Request.Folder -Generation $Request.Generation -MemoryStartupBytes $Request.MemoryBytes -NoVHD
Set-VM -VM $vm -Notes $Request.Making -NewVMName $Request.VisibleName -ProcessorCount $Request.Cpus -StaticMemory -AutomaticStartAction StartIfRunning -AutomaticStopAction ShutDown -CheckpointType Production
if ((Get-Command -Name Set-VM).Parameters.ContainsKey('AutomaticCheckpointsEnabled')) {
    Set-VM -VM $vm -AutomaticCheckpointsEnabled $false
}
foreach ($card in @(Get-VMNetworkAdapter -VM $vm)) {
    Remove-VMNetworkAdapter -VMNetworkAdapter $card
}
if (@(Get-VMScsiController -VM $vm).Count -eq 0) {
    Add-VMScsiController -VM $vm
}
foreach ($disk in $Request.Disks) {
    Add-VMHardDiskDrive -VM $vm -ControllerType $disk.Controller -ControllerNumber 0 -ControllerLocation $disk.Location -Path $disk.Path
}
if ($Request.Seed.Gzip) {
    Add-VMHardDiskDrive -VM $vm -ControllerType SCSI -ControllerNumber 0 -ControllerLocation $Request.Seed.Location -Path $Request.Seed.Path
}
foreach ($nic in $Request.Nics) {
    $card = Add-VMNetworkAdapter -VM $vm -Name $nic.Name -SwitchName $nic.Switch -StaticMacAddress $nic.Mac -Passthru
    if ([int]$nic.VlanId -gt 0) {
        Set-VMNetworkAdapterVlan -VMNetworkAdapter $card -Access -VlanId $nic.VlanId
    }
}
if ([int]$Request.Generation -eq 2) {
    $root = Get-VMHardDiskDrive -VM $vm -ControllerType SCSI -ControllerNumber 0 -ControllerLocation 0
    if ($Request.SecureBoot) {
        Set-VMFirmware -VM $vm -FirstBootDevice $root -EnableSecureBoot On -SecureBootTemplate MicrosoftUEFICertificateAuthority
    } else {
        Set-VMFirmware -VM $vm -FirstBootDevice $root -EnableSecureBoot Off
    }
}
if ($Request.Tpm) {
    Set-VMKeyProtector -VM $vm -NewLocalKeyProtector
    Enable-VMTPM -VM $vm
}
Set-VM -VM $vm -Notes $Request.Made
[ordered]@{ VmId = [string]$vm.Id }
