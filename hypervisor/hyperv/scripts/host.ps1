# What there is and what is allowed, for capabilities and the check-up. It changes nothing:
# the file that tries whether the storage can be written deletes itself when it is closed.
$fault = ''
$module = ''
$name = ''
$processors = 0
$memory = [int64]0
$diskPath = ''
$switches = @()
$storage = [string]$Request.Storage
$found = @(Get-Module -Name Hyper-V -ListAvailable | Sort-Object -Property Version -Descending)
if ($found.Count -gt 0) {
    $module = [string]$found[0].Version
    try {
        $vmHost = Get-VMHost
        $name = [string]$vmHost.Name
        $processors = [int]$vmHost.LogicalProcessorCount
        $memory = [int64]$vmHost.MemoryCapacity
        $diskPath = [string]$vmHost.VirtualHardDiskPath
        $switches = @(foreach ($one in @(Get-VMSwitch)) {
                [ordered]@{ Name = [string]$one.Name; Type = [string]$one.SwitchType }
            })
    } catch {
        $fault = [string]$_.FullyQualifiedErrorId
    }
}
if (-not $storage) {
    $storage = $diskPath
}

$existing = $storage
while ($existing -and -not (Test-Path -LiteralPath $existing)) {
    $existing = [string][System.IO.Path]::GetDirectoryName($existing)
}
$free = [int64]-1
$squeezed = $false
$writeFault = ''
if ($existing) {
    $item = Get-Item -LiteralPath $existing -Force
    $flags = [System.IO.FileAttributes]::Compressed -bor [System.IO.FileAttributes]::Encrypted
    $squeezed = ($item.Attributes -band $flags) -ne 0
    try {
        $free = [int64](Get-Volume -FilePath $existing).SizeRemaining
    } catch {
        $free = [int64]-1
    }
    $probe = Join-Path -Path $existing -ChildPath ([System.IO.Path]::GetRandomFileName())
    try {
        $file = [System.IO.FileStream]::new($probe, [System.IO.FileMode]::CreateNew, [System.IO.FileAccess]::Write, [System.IO.FileShare]::None, 16, [System.IO.FileOptions]::DeleteOnClose)
        $file.Dispose()
    } catch {
        $writeFault = [string]$_.FullyQualifiedErrorId
    }
}

$identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
$principal = [System.Security.Principal.WindowsPrincipal]::new($identity)
$hypervAdministrators = [System.Security.Principal.SecurityIdentifier]::new('S-1-5-32-578')
$system = Get-CimInstance -ClassName Win32_OperatingSystem

[ordered]@{
    PowerShell           = [string]$PSVersionTable.PSVersion
    Module               = $module
    Fault                = $fault
    Windows              = [string]$system.Caption
    Version              = [string]$system.Version
    Client               = [int]$system.ProductType -eq 1
    Now                  = [System.DateTime]::UtcNow.ToString('o', [System.Globalization.CultureInfo]::InvariantCulture)
    User                 = [string]$identity.Name
    Administrator        = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    HypervAdministrator  = $principal.IsInRole($hypervAdministrators)
    Name                 = $name
    Processors           = $processors
    MemoryBytes          = $memory
    FreeMemoryBytes      = [int64]$system.FreePhysicalMemory * 1024
    Switches             = $switches
    Storage              = $storage
    Existing             = $existing
    FreeBytes            = $free
    CompressedOrEncrypted = $squeezed
    WriteFault           = $writeFault
    Tpm                  = @(Get-Command -Name Enable-VMTPM -ErrorAction SilentlyContinue).Count -gt 0
}
