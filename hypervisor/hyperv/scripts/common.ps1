# Functions that stand before each script. Machines are found by GUID: names are not
# unique, and Get-VM -Name takes wildcards. Only Get-VM has -Id.

# One of our own errors, known by its id.
function Stop-Ingot {
    param([string]$Id, [string]$Category, [string]$Target)
    $cause = [System.InvalidOperationException]::new($Id)
    throw [System.Management.Automation.ErrorRecord]::new($cause, $Id, $Category, $Target)
}

# Keeps other scripts of ours from a thing until this one ends: a lost connection ends no
# script. Windows closes the file, which removes it, whatever becomes of the process.
function Lock-Ingot {
    param([string]$Path)
    $null = New-Item -ItemType Directory -Path ([System.IO.Path]::GetDirectoryName($Path)) -Force
    foreach ($left in @(2, 1, 0)) {
        try {
            return [System.IO.FileStream]::new($Path, [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None, 16, [System.IO.FileOptions]::DeleteOnClose)
        } catch {
            $failure = $_.Exception.GetBaseException()
            if ($failure.HResult -eq -2147024864) {
                Stop-Ingot -Id IngotBusy -Category ResourceBusy -Target $Path
            }
            # One that was closed just now may still be there, and can't be opened.
            if ($left -eq 0 -or -not ($failure -is [System.UnauthorizedAccessException])) {
                throw
            }
        }
        Start-Sleep -Milliseconds 100
    }
}

# Ends the script when a machine lies in a folder that was not known to be there: it came
# after somebody looked.
function Confirm-IngotFolder {
    param([string]$Folder, $Known)
    foreach ($vm in @(Select-IngotVM -Marks @() -Folders @($Folder + '\') -Others $false)) {
        if (@($Known) -notcontains [string]$vm.Id) {
            Stop-Ingot -Id IngotBusy -Category ResourceBusy -Target ([string]$vm.Id)
        }
    }
}

# A machine, or nothing when it is gone.
function Get-IngotVM {
    param([string]$Id)
    try {
        return Get-VM -Id $Id
    } catch {
        $gone = @('InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM', 'ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM')
        if ($gone -notcontains $_.FullyQualifiedErrorId) {
            throw
        }
    }
}

# All machines with one of the marks in their notes or one of the folders before their
# path; with Others, all the rest.
function Select-IngotVM {
    param($Marks, $Folders, [bool]$Others)
    foreach ($vm in @(Get-VM)) {
        $hit = $false
        foreach ($mark in $Marks) {
            if (([string]$vm.Notes).Contains($mark)) {
                $hit = $true
            }
        }
        foreach ($folder in $Folders) {
            if (([string]$vm.Path).StartsWith($folder, [System.StringComparison]::OrdinalIgnoreCase)) {
                $hit = $true
            }
        }
        if ($hit -ne $Others) {
            $vm
        }
    }
}

# Whether a machine has neither a running guest nor one that waits.
function Test-IngotOff {
    param($VM)
    @('Off', 'OffCritical') -contains [string]$VM.State
}

# Whether a machine's memory lies in a file.
function Test-IngotSaved {
    param($VM)
    @('Saved', 'SavedCritical', 'FastSaved', 'FastSavedCritical') -contains [string]$VM.State
}

# The files that a virtual disk stands on, its own first.
function Get-IngotChain {
    param([string]$Path)
    while ($Path) {
        $Path
        $Path = [string](Get-VHD -Path $Path).ParentPath
    }
}
