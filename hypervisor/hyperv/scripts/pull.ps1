# Fetches a slice of an image and tells how far it is. What came is kept, unless the fault is
# the same the next time. The certificate is compared in C#: a script block as callback would
# run on a thread without a runspace.
$lock = Lock-Ingot -Path $Request.Lock
$source = @'
using System;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

public sealed class IngotPin
{
    private readonly string want;

    public IngotPin(string want) { this.want = want; }

    public RemoteCertificateValidationCallback Callback
    {
        get { return new RemoteCertificateValidationCallback(this.Matches); }
    }

    private bool Matches(object sender, X509Certificate certificate, X509Chain chain, SslPolicyErrors errors)
    {
        if (certificate == null) { return false; }
        using (SHA256 hash = SHA256.Create())
        {
            string has = BitConverter.ToString(hash.ComputeHash(certificate.GetRawCertData())).Replace("-", "");
            return string.Equals(has, want, StringComparison.OrdinalIgnoreCase);
        }
    }
}
'@
$size = [int64]$Request.SizeBytes
$bytes = [int64]0
$fault = ''
$code = [int64]0
if (Test-Path -LiteralPath $Request.Partial) {
    $bytes = [int64](Get-Item -LiteralPath $Request.Partial -Force).Length
    if ($bytes -gt $size) {
        Remove-Item -LiteralPath $Request.Partial -Force
        $bytes = [int64]0
    }
}
if ($bytes -lt $size) {
    if (-not ('IngotPin' -as [type])) {
        Add-Type -TypeDefinition $source -Language CSharp
    }
    $null = New-Item -ItemType Directory -Path $Request.Folder -Force
    [System.Net.ServicePointManager]::SecurityProtocol = [System.Net.ServicePointManager]::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12
    $pin = New-Object -TypeName IngotPin -ArgumentList $Request.CertificateSha256
    $web = [System.Net.WebRequest]::Create([uri]$Request.Url)
    $web.ServerCertificateValidationCallback = $pin.Callback
    $web.AllowAutoRedirect = $false
    $web.KeepAlive = $false
    $web.Proxy = $null
    $web.Timeout = 30000
    $web.ReadWriteTimeout = 30000
    $web.AddRange($bytes)
    $response = $null
    $file = $null
    $before = $bytes
    try {
        $response = $web.GetResponse()
        if ([int]$response.StatusCode -ne 206 -and $bytes -gt 0) {
            $fault = 'NoRanges'
        } else {
            $stream = $response.GetResponseStream()
            $file = [System.IO.File]::Open($Request.Partial, [System.IO.FileMode]::Append, [System.IO.FileAccess]::Write, [System.IO.FileShare]::None)
            $buffer = New-Object -TypeName byte[] -ArgumentList 1048576
            $clock = [System.Diagnostics.Stopwatch]::StartNew()
            $end = [System.Math]::Min($size, $bytes + [int64]$Request.MaxBytes)
            if ($file.Length -ne $bytes) {
                $fault = 'Moved'
                $end = $bytes
            }
            while ($bytes -lt $end -and $clock.Elapsed.TotalSeconds -lt $Request.MaxSeconds) {
                $want = [int][System.Math]::Min([int64]$buffer.Length, $end - $bytes)
                $got = $stream.Read($buffer, 0, $want)
                if ($got -le 0) {
                    $fault = 'Short'
                    break
                }
                $file.Write($buffer, 0, $got)
                $bytes += $got
            }
            $file.Flush($true)
        }
    } catch {
        $failure = $_.Exception
        while ($failure.InnerException -and -not ($failure -is [System.Net.WebException])) {
            $failure = $failure.InnerException
        }
        $fault = [string]$failure.GetType().Name
        if ($failure -is [System.Net.WebException]) {
            $fault = [string]$failure.Status
        }
        $code = [int64]$failure.HResult
    } finally {
        $web.Abort()
        if ($file) {
            $file.Dispose()
        }
        if ($response) {
            $response.Close()
        }
    }
    $same = @('TrustFailure', 'NoRanges', 'ProtocolError')
    if ($Request.Stuck -and $bytes -eq $before) {
        $same += @('Short', 'ReceiveFailure', 'ConnectionClosed', 'IOException', 'SocketException')
    }
    if ($same -contains $fault -and (Test-Path -LiteralPath $Request.Partial)) {
        Remove-Item -LiteralPath $Request.Partial -Force
    }
}
[ordered]@{ Bytes = $bytes; Fault = $fault; HResult = $code }
