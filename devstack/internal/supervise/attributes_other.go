//go:build !linux

package supervise

import "syscall"

// attributes puts the child into its own process group, so that Ctrl-C in the terminal reaches only the
// supervisor. Only Linux can end a child together with a killed supervisor.
func attributes(spec Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: spec.Credential}
}
