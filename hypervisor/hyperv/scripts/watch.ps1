# What changes with a machine, as cheap as it can be had.
$told = @(foreach ($vm in @(Select-IngotVM -Marks $Request.Marks -Folders $Request.Folders -Others $false)) {
        [ordered]@{
            VmId        = [string]$vm.Id
            Name        = [string]$vm.Name
            Notes       = [string]$vm.Notes
            State       = [string]$vm.State
            Cpus        = [int]$vm.ProcessorCount
            MemoryBytes = [int64]$vm.MemoryStartup
            Checkpoint  = [string]$vm.ParentSnapshotId
        }
    })
[ordered]@{ Machines = $told }
