// Package powershell runs PowerShell scripts on a far Windows computer: over WinRM with
// HTTPS, or over SSH. A script is a constant of this program; what it works on is one JSON
// document that it gets on standard input, what it found is one JSON document that it
// writes between two lines that nothing else can print. Neither is ever part of a command
// line or of the script's text.
//
// # On the wire
//
// What is started is always the same line: powershell.exe with the bootstrap as its
// -EncodedCommand, about 1,450 characters. It reads five lines of ASCII: a random nonce;
// Prelude, script and request, each UTF-8 in Base64; and the nonce again, without which
// nothing is run. The prelude answers with a line "<<<ingot NONCE", its envelope as Base64
// in lines of 76 characters, and a line "ingot>>> NONCE". The envelope is
// {"ok":true,"result":...} or {"ok":false,"error":{id,category,hresult,type,message,target}}.
// What is printed outside goes to the debug log.
//
// # Decisions
//
// 2026-11-27: the six WS-Management actions are written here, over net/http, with the NTLM
// messages of github.com/bodgit/ntlmssp. github.com/masterzen/winrm is used in tests only:
// its client has no way to stop a request (its Post takes no context), gives the HTTP
// status and the fault's code as text only, logs in anew for each message and sends its body
// three times then, spreads NTLM's legs over a connection pool that other requests share, and
// posts in plain text when its message encryption fails. Of the NTLM libraries, github.com/Azure/go-ntlmssp has
// neither an integrity code nor channel binding, which hosts with CbtHardeningLevel Strict
// want.
//
// 2026-11-27: commands go through cmd.exe (WINRS_SKIP_CMD_SHELL FALSE), as every other
// client's do; without it the path of powershell.exe would have to be known. The line has
// no character that cmd.exe reads.
//
// 2026-11-27: a command is tried twice where a connection was lost before its input was
// sent: without input nothing is run. What was lost later is the caller's to judge, by
// ErrNotStarted.
//
// 2026-11-27: a script whose caller is gone is not taken for stopped. WinRM is told to
// terminate it, when it can be told; a connection that was lost ends nothing before its shell
// is idle for half an hour. Over SSH the end of the session is all there is: sshd of Windows
// ends its children by a job object, but that was not seen here. Scripts that change something
// keep others out themselves (hypervisor/hyperv, Lock-Ingot).
//
// 2026-11-27: a password that was refused is not shown again for five minutes, unless
// somebody asks for a check-up or it is another one: domains lock accounts.
//
// 2026-11-27: no shell is created under an ID of ours, which not all hosts are known to
// take: one whose creation's answer is lost stays there until its half hour is over.
package powershell
