# Functions that stand before each script. Machines are found by GUID: names are not
# unique, and Get-VM -Name takes wildcards. Only Get-VM has -Id.

# One of our own errors, known by its id.
function Stop-Ingot {
    param([string]$Id, [string]$Category, [string]$Target)
    $cause = [System.InvalidOperationException]::new($Id)
    throw [System.Management.Automation.ErrorRecord]::new($cause, $Id, $Category, $Target)
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
