param([string]$Nonce, [string]$Text, [string]$Document)

# The HRESULT that tells most: of the first exception in the chain that has one which is not
# .NET's own (0x8013....), as a number without sign.
function Get-IngotHResult([System.Exception]$Exception) {
    $first = $null
    for ($e = $Exception; $null -ne $e; $e = $e.InnerException) {
        $h = [System.BitConverter]::ToUInt32([System.BitConverter]::GetBytes([int]$e.HResult), 0)
        if ($null -eq $first) { $first = $h }
        if (($h -shr 16) -ne 0x8013) { return $h }
    }
    return $first
}

function ConvertFrom-IngotErrorRecord([System.Management.Automation.ErrorRecord]$Record) {
    $target = ''
    if ($null -ne $Record.TargetObject) { $target = [string]$Record.TargetObject }
    return [ordered]@{
        id       = [string]$Record.FullyQualifiedErrorId
        category = [string]$Record.CategoryInfo.Category
        hresult  = Get-IngotHResult $Record.Exception
        type     = $Record.Exception.GetType().FullName
        message  = [string]$Record.Exception.Message
        target   = $target
    }
}

function ConvertTo-IngotAnswer([string]$Script, $Request) {
    try {
        $output = @(& ([System.Management.Automation.ScriptBlock]::Create($Script)))
        if ($output.Count -ne 1) { throw "the script returned $($output.Count) objects instead of one" }
        # The result may be eight deep; the envelope is one more.
        return ConvertTo-Json -InputObject ([ordered]@{ ok = $true; result = $output[0] }) -Depth 9 -Compress
    }
    catch {
        return ConvertTo-Json -InputObject ([ordered]@{ ok = $false; error = (ConvertFrom-IngotErrorRecord $_) }) -Depth 9 -Compress
    }
}

$json = ConvertTo-IngotAnswer -Script $Text -Request (ConvertFrom-Json -InputObject $Document)
$answer = [System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($json), [System.Base64FormattingOptions]::InsertLineBreaks)
[Console]::Out.WriteLine()
[Console]::Out.WriteLine("<<<ingot $Nonce")
[Console]::Out.WriteLine($answer)
[Console]::Out.WriteLine("ingot>>> $Nonce")
[Console]::Out.Flush()
exit 0
