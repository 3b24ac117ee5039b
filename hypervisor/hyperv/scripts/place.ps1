# What a new machine can stand on: the images that are whole, and the virtual switches.
$files = @()
if (Test-Path -LiteralPath $Request.Images) {
    $files = @(Get-ChildItem -LiteralPath $Request.Images -File -Force | Where-Object -FilterScript { $_.Name -match '^[0-9a-f]{64}\.vhdx$' })
}
[ordered]@{
    Images   = @(foreach ($file in $files) {
            [ordered]@{ File = [string]$file.Name; SizeBytes = [int64](Get-VHD -Path $file.FullName).Size }
        })
    Switches = @(foreach ($one in @(Get-VMSwitch)) {
            [ordered]@{ Name = [string]$one.Name; Type = [string]$one.SwitchType }
        })
}
