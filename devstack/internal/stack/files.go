package stack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// secrets are made once per data directory. They protect nothing but a developer's machine, yet the
// services must not notice a difference to production.
type secrets struct {
	Superuser string            `json:"superuser"`
	Roles     map[string]string `json:"roles"`
	// PayloadKeys has the form the services expect: name:base64.
	PayloadKeys string `json:"payload_keys"`
}

// loadSecrets reads the file, adds what is missing and writes it back.
func loadSecrets(file string, roles []string) (secrets, error) {
	s := secrets{Roles: map[string]string{}}
	if err := readJSON(file, &s); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	if s.Superuser == "" {
		s.Superuser = password()
	}
	for _, role := range roles {
		if s.Roles[role] == "" {
			s.Roles[role] = password()
		}
	}
	if s.PayloadKeys == "" {
		key := make([]byte, 32)
		rand.Read(key)
		s.PayloadKeys = "dev:" + base64.StdEncoding.EncodeToString(key)
	}
	return s, writeJSON(file, s, 0o600)
}

func password() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// writeJSON replaces the file in one step, so that a reader sees the old content or the new, never half.
func writeJSON(file string, value any, mode os.FileMode) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(append(content, '\n'))
	if err := errors.Join(err, temporary.Chmod(mode), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

func readJSON(file string, value any) error {
	content, err := os.ReadFile(file) //nolint:gosec // A file of our own data directory.
	if err != nil {
		return err
	}
	return json.Unmarshal(content, value)
}

var errRunning = errors.New("a devstack is running")

// lock makes the caller the only stack on the data directory until the file is closed, which the kernel
// does for a process that is killed.
func lock(data string) (*os.File, error) {
	//nolint:gosec // A file of our own data directory.
	file, err := os.OpenFile(filepath.Join(data, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w on %s already: stop it, or give this one another --data directory", errRunning, data)
		}
		return nil, fmt.Errorf("lock %s: %w", data, err)
	}
	return file, nil
}
