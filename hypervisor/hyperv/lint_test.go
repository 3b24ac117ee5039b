package hyperv

import (
	"reflect"
	"strings"
	"testing"
)

// contract is what a script gets and answers.
type contract struct {
	script  string
	request reflect.Type
	answer  reflect.Type
}

func of[Q, A any](o operation[Q, A]) contract {
	return contract{o.script.Name, reflect.TypeFor[Q](), reflect.TypeFor[A]()}
}

var contracts = []contract{of(askHost), of(askPlace), of(listMachines), of(watchMachines), of(pullImage), of(finishImage), of(removeImage), of(createMachine), of(deleteMachine),
	of(powerMachine), of(listCheckpoints), of(takeCheckpoint), of(restoreOne), of(removeCheckpoint), of(growVHD), of(sizeMachine), of(setNotes)}

// fields are a type's, in JSON's names; those of elements as "Disks.Path" when dotted.
func fields(t reflect.Type, prefix string, dotted bool, into map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Name
		if tag := f.Tag.Get("json"); tag != "" {
			name = tag
		}
		into[prefix+name] = true
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == t.PkgPath() {
			if dotted {
				fields(inner, name+".", true, into)
			} else {
				fields(inner, "", false, into)
			}
		}
	}
}

// differ lists what is in one and not in the other.
func differ(t *testing.T, what string, want, got map[string]bool) {
	t.Helper()
	for name := range want {
		if !got[name] {
			t.Errorf("%s: the Go type has %s, the script does not", what, name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%s: the script has %s, the Go type does not", what, name)
		}
	}
}

func TestScripts(t *testing.T) {
	common := lint(read(commonFile), nil)
	for _, f := range common.faults {
		t.Errorf("%s: %s", commonFile, f)
	}
	if len(contracts) != len(Scripts()) {
		t.Errorf("%d scripts, %d with a contract", len(Scripts()), len(contracts))
	}
	for _, c := range contracts {
		t.Run(c.script, func(t *testing.T) {
			l := lint(read(c.script+".ps1"), common.functions)
			for _, f := range l.faults {
				t.Error(f)
			}
			request, answer := map[string]bool{}, map[string]bool{}
			fields(c.request, "", true, request)
			fields(c.answer, "", false, answer)
			differ(t, "request", request, l.requested)
			differ(t, "answer", answer, l.answered)
		})
	}
}

// Each kind of fault is caught.
func TestLintCatches(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"alias":                   {"gci -Path x", "command gci is not in the table"},
		"Hyper-V's alias":         {"Get-VMCheckpoint -VM $null", "command Get-VMCheckpoint"},
		"unknown command":         {"$x = Get-VMGhost\n$x", "command Get-VMGhost"},
		"in a pipe":               {"Get-VM | select Id", "command select"},
		"in a block":              {"if ($true) { iex $null }", "command iex"},
		"expression":              {"Invoke-Expression -Command $null", "command Invoke-Expression"},
		"unknown parameter":       {"Stop-VM -VM $null -Quick", "Stop-VM has no parameter -Quick"},
		"by name":                 {"Get-VM -Name 'web'", "Get-VM has no parameter -Name"},
		"not ASCII":               {"$x = 'ü'\n$x = '\u201c", "not ASCII"},
		"smart dash":              {"Get-VM \u2013Id $null", "not ASCII"},
		"interpolation":           {`$x = "a $(Get-VM)"`, "double-quoted"},
		"double quotes":           {`$x = "a"`, "double-quoted"},
		"here-string with quotes": {"$x = @\"\na\n\"@", "double-quoted"},
		"subexpression":           {"$x = $(Get-VM)", "subexpression"},
		"null coalescing":         {"$x = $null ?? 1", `"?"`},
		"null condition":          {"$x = $null?.Length", `"?"`},
		"ternary":                 {"$x = $true ? 1 : 2", `"?"`},
		"and chain":               {"Get-VM && Get-VM", `"&"`},
		"or chain":                {"Get-VM || Get-VM", `"||"`},
		"call operator":           {"& 'x'", `"&"`},
		"redirection":             {"Get-VM > x", `">"`},
		"backtick":                {"Get-VM `\n", "\"`\""},
		"percent":                 {"Get-VM | % { $_ }", `"%"`},
		"parallel":                {"Get-VM | ForEach-Object -Parallel { $_ }", "command ForEach-Object"},
		"unknown operator":        {"$x = 'a' -shr 1", "operator -shr"},
		"operator in arguments":   {"Start-VM -VM $null -and $true", "among the arguments"},
		"unknown type":            {"[ScriptBlock]::Create('x')", "type [ScriptBlock]"},
		"never set":               {"Start-VM -VM $vm", "$vm is never set"},
		"not closed":              {"if ($true) { Get-VM", "is not closed"},
		"closes nothing":          {"Get-VM }", "closes nothing"},
		"unheard test":            {"$null = Test-VHD -Path 'x'", "what Test-VHD says is thrown away"},
		"open string":             {"$x = 'a", "without an end"},
	} {
		l := lint(test.script, nil)
		if !strings.Contains(strings.Join(l.faults, "\n"), test.want) {
			t.Errorf("%s: got %q, want %q", name, l.faults, test.want)
		}
	}
	l := lint("foreach ($d in $Request.Disks) { $d.Path }\n[ordered]@{ A = $Request.Seed.Gzip; B = @{ C = 1 } }", nil)
	request, answer := set(""), map[string]bool{"A": true, "B": true}
	for _, f := range []string{"Disks", "Disks.Path", "Seed", "Seed.Gzip"} {
		request[f] = true
	}
	if !reflect.DeepEqual(l.requested, request) || !reflect.DeepEqual(l.answered, answer) || len(l.faults) > 0 {
		t.Errorf("fields %v, %v, %q", l.requested, l.answered, l.faults)
	}
}
