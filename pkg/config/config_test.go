package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/config"
)

type settings struct {
	DSN   config.Secret `env:"TEST_DSN,required,notEmpty"`
	Drain time.Duration `env:"TEST_DRAIN" envDefault:"15s"`
}

func (s settings) Validate() error {
	if s.Drain <= 0 {
		return errors.New("TEST_DRAIN must be positive")
	}
	return nil
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Setenv("TEST_DRAIN", "soon")
	_, err := config.Load[settings]()
	require.ErrorContains(t, err, "TEST_DSN")
	require.ErrorContains(t, err, "Drain")
}

func TestValuesAreValidatedTogether(t *testing.T) {
	t.Setenv("TEST_DSN", "postgres://u:secret@h/d")
	t.Setenv("TEST_DRAIN", "-1s")
	_, err := config.Load[settings]()
	require.ErrorContains(t, err, "TEST_DRAIN must be positive")
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Setenv("TEST_DSN", "postgres://u:secret@h/d")
	cfg, err := config.Load[settings]()
	require.NoError(t, err)
	require.Equal(t, "postgres://u:secret@h/d", cfg.DSN.Reveal())

	asJSON, err := json.Marshal(cfg)
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v", cfg, cfg), string(asJSON)} {
		require.NotContains(t, printed, "secret")
	}
}
