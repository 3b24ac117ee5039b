# Removes an image and what was fetched of it, unless a disk stands on it: one of a machine,
# of a checkpoint, or one that lies in our folder.
$lock = Lock-Ingot -Path $Request.Lock
$users = New-Object -TypeName System.Collections.ArrayList
if (Test-Path -LiteralPath $Request.Image) {
    $paths = New-Object -TypeName System.Collections.ArrayList
    foreach ($vm in @(Get-VM)) {
        foreach ($drive in @(Get-VMHardDiskDrive -VM $vm)) {
            $null = $paths.Add([string]$drive.Path)
        }
        foreach ($checkpoint in @(Get-VMSnapshot -VM $vm)) {
            foreach ($drive in @(Get-VMHardDiskDrive -VMSnapshot $checkpoint)) {
                $null = $paths.Add([string]$drive.Path)
            }
        }
    }
    foreach ($file in @(Get-ChildItem -LiteralPath $Request.Folder -Recurse -File -Force)) {
        $null = $paths.Add([string]$file.FullName)
    }
    foreach ($path in @($paths | Sort-Object -Unique)) {
        if ($path -notmatch '\.a?vhdx?$' -or $path -eq $Request.Image -or $path -like '*.part.vhdx' -or -not (Test-Path -LiteralPath $path)) {
            continue
        }
        if (@(Get-IngotChain -Path $path) -contains $Request.Image) {
            $null = $users.Add($path)
        }
    }
}
if ($users.Count -eq 0) {
    $names = @($Request.Image)
    if (Test-Path -LiteralPath $Request.Images) {
        $names += @(foreach ($file in @(Get-ChildItem -LiteralPath $Request.Images -File -Force)) {
                if (([string]$file.Name).StartsWith($Request.Stem, [System.StringComparison]::Ordinal) -and ([string]$file.Name).EndsWith('.part.vhdx', [System.StringComparison]::Ordinal)) {
                    [string]$file.FullName
                }
            })
    }
    foreach ($name in $names) {
        if (Test-Path -LiteralPath $name) {
            Remove-Item -LiteralPath $name -Force
        }
    }
}
[ordered]@{ UsedBy = @($users) }
