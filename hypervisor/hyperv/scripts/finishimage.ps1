# Makes an image of what was fetched, if it is what was promised; what is not goes, it would
# be the same the next time. The name comes last: what has it is whole.
$lock = Lock-Ingot -Path $Request.Lock
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
    if (-not $bad -and ($item.Attributes -band [System.IO.FileAttributes]::SparseFile) -ne 0) {
        $null = fsutil.exe sparse setflag $Request.Partial 0
    }
    if (-not $bad -and -not (Test-VHD -Path $Request.Partial -ErrorAction SilentlyContinue)) {
        $bad = 'IngotBroken'
    }
    if (-not $bad) {
        $disk = Get-VHD -Path $Request.Partial
        if ([string]$disk.ParentPath) {
            $bad = 'IngotHasParent'
        } elseif ([int64]$disk.Size -lt [int64]$Request.DiskBytes) {
            $bad = 'IngotWrongDisk'
        }
    }
    if ($bad) {
        Remove-Item -LiteralPath $Request.Partial -Force
        Stop-Ingot -Id $bad -Category InvalidData -Target $Request.Partial
    }
    Set-ItemProperty -LiteralPath $Request.Partial -Name IsReadOnly -Value $true
    Move-Item -LiteralPath $Request.Partial -Destination $Request.Image
}
[ordered]@{ SizeBytes = [int64](Get-VHD -Path $Request.Image).Size }
