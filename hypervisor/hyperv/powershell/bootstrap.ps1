if($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage'){exit 92}
$ProgressPreference='SilentlyContinue'
$ErrorActionPreference='Stop'
Set-StrictMode -Version 2.0
$utf8=New-Object Text.UTF8Encoding $false
try{[Console]::OutputEncoding=$utf8}catch{}
$OutputEncoding=$utf8
$lines=@($input)
if($lines.Count -ne 5 -or $lines[0] -cne $lines[4]){exit 91}
$text=@($lines[1..3]|ForEach-Object{$utf8.GetString([Convert]::FromBase64String($_))})
& ([ScriptBlock]::Create($text[0])) $lines[0] $text[1] $text[2]
