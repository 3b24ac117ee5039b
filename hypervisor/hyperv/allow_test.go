package hyperv

// allowed are the commands of Windows PowerShell 5.1 and the Hyper-V module 2.0.0.0 that
// our scripts may use, with the parameters (Microsoft's reference, "Hyper-V",
// "Microsoft.PowerShell.*", "Storage", "NetTCPIP", "CimCmdlets" for Windows Server 2016).
// Machines are named by -VM or -Id, never by a name, so no parameter -Name or -VMName of
// theirs is here. Aliases (Get-VMCheckpoint is one) are not commands.
var allowed = map[string][]string{
	"Add-Type":                 {"TypeDefinition", "Language"},
	"Add-VMHardDiskDrive":      {"VM", "ControllerType", "ControllerNumber", "ControllerLocation", "Path"},
	"Add-VMNetworkAdapter":     {"VM", "Name", "SwitchName", "StaticMacAddress", "Passthru"},
	"Add-VMScsiController":     {"VM"},
	"Checkpoint-VM":            {"VM", "SnapshotName"},
	"Enable-VMTPM":             {"VM"},
	"Get-ChildItem":            {"LiteralPath", "File", "Recurse", "Force"},
	"Get-CimInstance":          {"ClassName", "Namespace"},
	"Get-Command":              {"Name", "ErrorAction"},
	"Get-FileHash":             {"LiteralPath", "Algorithm"},
	"Get-Item":                 {"LiteralPath", "Force"},
	"Get-Module":               {"Name", "ListAvailable"},
	"Get-NetNeighbor":          {"ErrorAction"},
	"Get-VHD":                  {"Path"},
	"Get-VM":                   {"Id"},
	"Get-VMFirmware":           {"VM"},
	"Get-VMHardDiskDrive":      {"VM", "VMSnapshot", "ControllerType", "ControllerNumber", "ControllerLocation"},
	"Get-VMHost":               {},
	"Get-VMNetworkAdapter":     {"VM"},
	"Get-VMNetworkAdapterVlan": {"VMNetworkAdapter"},
	"Get-VMScsiController":     {"VM"},
	"Get-VMSecurity":           {"VM"},
	"Get-VMSnapshot":           {"VM"},
	"Get-VMSwitch":             {},
	"Get-Volume":               {"FilePath"},
	"Invoke-CimMethod":         {"InputObject", "MethodName", "Arguments"},
	"Join-Path":                {"Path", "ChildPath"},
	"Move-Item":                {"LiteralPath", "Destination"},
	"New-Item":                 {"ItemType", "Path", "Force"},
	"New-Object":               {"TypeName", "ArgumentList"},
	"New-VHD":                  {"Path", "ParentPath", "Differencing", "SizeBytes", "Dynamic", "BlockSizeBytes"},
	"New-VM":                   {"Name", "Path", "Generation", "MemoryStartupBytes", "NoVHD"},
	"Remove-Item":              {"LiteralPath", "Recurse", "Force"},
	"Remove-VM":                {"VM", "Force"},
	"Remove-VMNetworkAdapter":  {"VMNetworkAdapter"},
	"Remove-VMSavedState":      {"VM"},
	"Remove-VMSnapshot":        {"VMSnapshot", "Confirm"},
	"Resize-VHD":               {"Path", "SizeBytes"},
	"Restore-VMSnapshot":       {"VMSnapshot", "Confirm"},
	"Resume-VM":                {"VM"},
	"Set-ItemProperty":         {"LiteralPath", "Name", "Value"},
	"Set-VM": {"VM", "Notes", "NewVMName", "ProcessorCount", "StaticMemory", "MemoryStartupBytes", "AutomaticStartAction", "AutomaticStopAction",
		"CheckpointType", "AutomaticCheckpointsEnabled"},
	"Set-VMFirmware":           {"VM", "FirstBootDevice", "EnableSecureBoot", "SecureBootTemplate"},
	"Set-VMKeyProtector":       {"VM", "NewLocalKeyProtector"},
	"Set-VMNetworkAdapterVlan": {"VMNetworkAdapter", "Access", "VlanId"},
	"Sort-Object":              {"Property", "Descending", "Unique"},
	"Start-Sleep":              {"Milliseconds"},
	"Start-VM":                 {"VM"},
	"Stop-VM":                  {"VM", "TurnOff", "Force"},
	"Test-Path":                {"LiteralPath"},
	"Test-VHD":                 {"Path", "ErrorAction"},
	"Where-Object":             {"FilterScript"},
	"fsutil.exe":               {},
}

// operators of expressions.
var operators = set("-eq -ne -gt -ge -lt -le -ceq -cne -and -or -not -band -bor -is -as -contains -notcontains -match -notmatch -like -notlike -replace")

// keywords that a statement can start with, or that stand in one.
var keywords = set("if else elseif foreach in while try catch finally function param return throw continue break")

// types that are known to be in .NET Framework 4.6 and later, or are PowerShell's own.
var types = set(`string int int64 bool byte[] uri type ordered System.InvalidOperationException System.Management.Automation.ErrorRecord System.StringComparison
	System.IO.Path System.IO.File System.IO.FileMode System.IO.FileAccess System.IO.FileShare System.IO.FileOptions System.IO.FileStream System.IO.FileAttributes
	System.IO.MemoryStream System.IO.Compression.GZipStream System.IO.Compression.CompressionMode System.Convert System.Math System.DateTime
	System.Globalization.CultureInfo System.Diagnostics.Stopwatch System.Security.Principal.WindowsIdentity System.Security.Principal.WindowsPrincipal
	System.Security.Principal.SecurityIdentifier System.Security.Principal.WindowsBuiltInRole System.Net.WebRequest System.Net.WebException
	System.UnauthorizedAccessException System.Net.ServicePointManager System.Net.SecurityProtocolType`)

// automatic variables, and what the prelude gives.
var automatic = set("Request true false null _ PSVersionTable")
