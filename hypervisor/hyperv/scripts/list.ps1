# Machines with their disks, NICs and addresses, all in one call. A disk that can't be read
# has a fault and does not keep the others from being told.
$machines = @(Select-IngotVM -Marks $Request.Marks -Folders $Request.Folders -Others $Request.Others)
$drives = @()
$cards = @()
$neighbors = @()
if ($machines.Count -gt 0) {
    $drives = @(Get-VMHardDiskDrive -VM $machines)
    $cards = @(Get-VMNetworkAdapter -VM $machines)
    $neighbors = @(Get-NetNeighbor -ErrorAction SilentlyContinue | Where-Object -FilterScript { @('Reachable', 'Stale', 'Delay', 'Probe', 'Permanent') -contains [string]$_.State })
}

$told = @(foreach ($vm in $machines) {
        $secureBoot = $false
        $tpm = $false
        if ([int]$vm.Generation -eq 2) {
            $secureBoot = [string](Get-VMFirmware -VM $vm).SecureBoot -eq 'On'
            $tpm = [bool](Get-VMSecurity -VM $vm).TpmEnabled
        }
        $disks = @(foreach ($drive in @($drives | Where-Object -FilterScript { $_.VMId -eq $vm.Id })) {
                $size = [int64]0
                $chain = @()
                $fault = ''
                try {
                    $size = [int64](Get-VHD -Path $drive.Path).Size
                    $chain = @(Get-IngotChain -Path $drive.Path)
                } catch {
                    $fault = [string]$_.FullyQualifiedErrorId
                }
                [ordered]@{
                    Path       = [string]$drive.Path
                    Controller = [string]$drive.ControllerType
                    Number     = [int]$drive.ControllerNumber
                    Location   = [int]$drive.ControllerLocation
                    SizeBytes  = $size
                    Chain      = $chain
                    Fault      = $fault
                }
            })
        $nics = @(foreach ($card in @($cards | Where-Object -FilterScript { $_.VMId -eq $vm.Id })) {
                $vlan = Get-VMNetworkAdapterVlan -VMNetworkAdapter $card
                $number = 0
                if ([string]$vlan.OperationMode -eq 'Access') {
                    $number = [int]$vlan.AccessVlanId
                }
                $seen = @()
                if ([string]$vm.State -eq 'Running') {
                    $seen = @(foreach ($neighbor in $neighbors) {
                            if ((([string]$neighbor.LinkLayerAddress) -replace '-', '') -eq [string]$card.MacAddress) {
                                [string]$neighbor.IPAddress
                            }
                        })
                }
                [ordered]@{
                    Mac       = [string]$card.MacAddress
                    Switch    = [string]$card.SwitchName
                    VlanId    = $number
                    Told      = @(foreach ($address in @($card.IPAddresses)) { [string]$address })
                    Neighbors = $seen
                }
            })
        [ordered]@{
            VmId        = [string]$vm.Id
            Name        = [string]$vm.Name
            Notes       = [string]$vm.Notes
            Path        = [string]$vm.Path
            State       = [string]$vm.State
            Generation  = [int]$vm.Generation
            Cpus        = [int]$vm.ProcessorCount
            MemoryBytes = [int64]$vm.MemoryStartup
            SecureBoot  = $secureBoot
            Tpm         = $tpm
            Disks       = $disks
            Nics        = $nics
            Checkpoints = @(Get-VMSnapshot -VM $vm).Count
            Status      = @(foreach ($status in @($vm.OperationalStatus)) { [string]$status })
        }
    })
[ordered]@{ Machines = $told }
