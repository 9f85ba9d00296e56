package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StopLeftover ends a server that a killed devstack has left running on the data directory, and removes
// a lock file that would keep a new one from starting although its owner is gone.
func (c *Cluster) StopLeftover(ctx context.Context) error {
	lock := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(lock) //nolint:gosec // A file of our own data directory.
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(first))
	if pid <= 0 || !alive(pid) {
		return nil // PostgreSQL recognises and replaces such a file itself
	}
	if !c.serves(pid) {
		// The pid was given to another program. PostgreSQL only sees that somebody lives, and refuses.
		return os.Remove(lock)
	}
	for _, step := range []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		_ = syscall.Kill(pid, step.signal)
		for end := time.Now().Add(step.patient); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if !c.serves(pid) {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return fmt.Errorf("a PostgreSQL server (pid %d) still runs on %s and cannot be stopped", pid, c.data())
}

// serves tells whether the process is a server on this data directory. The command line of a process
// that has ended but was not reaped yet is empty.
func (c *Cluster) serves(pid int) bool {
	return alive(pid) && strings.Contains(commandLine(pid), c.data())
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func commandLine(pid int) string {
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		return string(line)
	}
	//nolint:gosec,noctx // The argument is a number, and it answers at once.
	line, _ := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return string(line)
}
