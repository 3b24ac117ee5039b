package build

import "fmt"

// Action is one step of a recipe: exactly one of its fields is set.
type Action struct {
	// Packages of all steps are installed at once, before the first step.
	Packages []string  `yaml:"packages" json:"packages,omitempty"`
	Files    []File    `yaml:"files" json:"files,omitempty"`
	Script   *Script   `yaml:"script" json:"script,omitempty"`
	Users    []User    `yaml:"users" json:"users,omitempty"`
	Services *Services `yaml:"services" json:"services,omitempty"`
	// Cleanup lists absolute paths, with shell patterns, to remove.
	Cleanup []string `yaml:"cleanup" json:"cleanup,omitempty"`
}

// Script runs in the target, as root.
type Script struct {
	Name string `yaml:"name" json:"name,omitempty"`
	Run  string `yaml:"run" json:"run"`
	// From is a file beside the recipe; parsing moves what is in it to Run.
	From string `yaml:"from" json:"-"`
	// Interpreter is a program of the target; empty is /bin/sh -e.
	Interpreter string            `yaml:"interpreter" json:"interpreter,omitempty"`
	Env         map[string]string `yaml:"env" json:"env,omitempty"`
}

// User is an account with a locked password.
type User struct {
	Name    string   `yaml:"name" json:"name"`
	Groups  []string `yaml:"groups" json:"groups,omitempty"`
	SSHKeys []string `yaml:"sshKeys" json:"sshKeys,omitempty"`
	// Shell is empty for /bin/bash.
	Shell string `yaml:"shell" json:"shell,omitempty"`
	// System makes a system account: no home, no login.
	System bool `yaml:"system" json:"system,omitempty"`
}

// Services lists systemd units.
type Services struct {
	Enable  []string `yaml:"enable" json:"enable,omitempty"`
	Disable []string `yaml:"disable" json:"disable,omitempty"`
	Mask    []string `yaml:"mask" json:"mask,omitempty"`
}

// actions are the steps in order, with the short forms first.
func (r Recipe) actions() []action {
	var out []action
	if len(r.Files) > 0 {
		out = append(out, action{Action{Files: r.Files}, "files", ""})
	}
	if len(r.Enable) > 0 {
		out = append(out, action{Action{Services: &Services{Enable: r.Enable}}, "services", ""})
	}
	for i, a := range r.Steps {
		if len(a.Packages) == 0 {
			out = append(out, action{a, a.kind(), fmt.Sprintf("steps[%d]", i)})
		}
	}
	return out
}

// action is a step with its kind and its key.
type action struct {
	Action
	name, key string
}

// kind names the field that is set.
func (a Action) kind() string {
	switch {
	case a.Packages != nil:
		return "packages"
	case a.Files != nil:
		return "files"
	case a.Script != nil && a.Script.Name != "":
		return "script " + a.Script.Name
	case a.Script != nil:
		return "script"
	case a.Users != nil:
		return "users"
	case a.Services != nil:
		return "services"
	}
	return "cleanup"
}
