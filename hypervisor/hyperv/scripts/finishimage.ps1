# Makes an image of what was fetched, if it is what was promised. The name comes last: what
# has it is whole.
if (-not (Test-Path -LiteralPath $Request.Image)) {
    $bad = ''
    $item = Get-Item -LiteralPath $Request.Partial -Force
    if ([int64]$item.Length -ne [int64]$Request.SizeBytes) {
        $bad = 'IngotWrongLength'
    } elseif ((Get-FileHash -LiteralPath $Request.Partial -Algorithm SHA256).Hash -ne $Request.Sha256) {
        $bad = 'IngotWrongHash'
    } elseif (($item.Attributes -band ([System.IO.FileAttributes]::Compressed -bor [System.IO.FileAttributes]::Encrypted)) -ne 0) {
        $bad = 'IngotCompressed'
    }
    if ($bad) {
        Remove-Item -LiteralPath $Request.Partial -Force
        Stop-Ingot -Id $bad -Category InvalidData -Target $Request.Partial
    }
    if (($item.Attributes -band [System.IO.FileAttributes]::SparseFile) -ne 0) {
        $null = fsutil.exe sparse setflag $Request.Partial 0
    }
    $null = Test-VHD -Path $Request.Partial
    $disk = Get-VHD -Path $Request.Partial
    if ([string]$disk.ParentPath) {
        Stop-Ingot -Id IngotHasParent -Category InvalidData -Target $Request.Partial
    }
    if ([int64]$disk.Size -lt [int64]$Request.DiskBytes) {
        Stop-Ingot -Id IngotWrongDisk -Category InvalidData -Target $Request.Partial
    }
    Set-ItemProperty -LiteralPath $Request.Partial -Name IsReadOnly -Value $true
    Move-Item -LiteralPath $Request.Partial -Destination $Request.Image
}
[ordered]@{ SizeBytes = [int64](Get-VHD -Path $Request.Image).Size }
