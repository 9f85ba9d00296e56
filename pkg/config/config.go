// Package config reads a program's settings from its environment. Each program declares one struct with `env` tags and
// defaults; everything that is wrong is reported at once, at start, and not one by one at run time.
package config

import (
	"encoding"
	"errors"
	"fmt"

	"github.com/caarlos0/env/v11"
)

// Validator is a struct that knows which of its values do not fit together.
type Validator interface{ Validate() error }

// Load parses the environment into a T and validates it. The error names every variable that is missing or wrong.
func Load[T Validator]() (T, error) {
	cfg, err := env.ParseAs[T]()
	if err != nil {
		if agg, ok := errors.AsType[env.AggregateError](err); ok {
			err = errors.Join(agg.Errors...)
		}
		return cfg, fmt.Errorf("config: %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("config: %w", err)
	}
	return cfg, nil
}

// Secret is a setting that is never printed: a password, a key, a DSN that holds one.
type Secret string

var _ encoding.TextUnmarshaler = (*Secret)(nil)

// UnmarshalText takes the value from the environment.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// String masks the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// MarshalText masks the value in structured logs and JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString masks the value in %#v.
func (s Secret) GoString() string { return s.String() }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }
