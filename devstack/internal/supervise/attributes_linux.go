package supervise

import "syscall"

// attributes puts the child into its own process group, so that Ctrl-C in the terminal reaches only the
// supervisor, and has the kernel end the child when the supervisor dies without a chance to do so.
func attributes(spec Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: spec.Credential, Pdeathsig: spec.OrphanSignal}
}
