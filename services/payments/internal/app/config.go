package app

import (
	"errors"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/service"
)

// The payment providers.
const (
	GatewaySandbox = "sandbox"
	GatewayStripe  = "stripe"
)

// Config is the service's environment.
type Config struct {
	service.Config
	// Gateway is the payment provider: sandbox or stripe.
	Gateway string `env:"GATEWAY" envDefault:"sandbox"`
	// GatewayTimeout bounds one call to the provider.
	GatewayTimeout time.Duration `env:"GATEWAY_TIMEOUT" envDefault:"5s"`
	// GatewayMargin is how long after its time-out a call may still reach the provider. Replicas' clocks must not differ
	// by more.
	GatewayMargin time.Duration `env:"GATEWAY_MARGIN" envDefault:"5s"`
	StripeAPIKey  config.Secret `env:"STRIPE_API_KEY"`
}

// Validate reports what does not fit together.
func (c Config) Validate() error {
	problems := []error{c.Config.Validate()}
	check := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New(problem))
		}
	}
	check(c.Gateway == GatewaySandbox || c.Gateway == GatewayStripe, "GATEWAY must be sandbox or stripe")
	check(c.Gateway != GatewayStripe || c.StripeAPIKey != "", "GATEWAY=stripe needs STRIPE_API_KEY")
	// An activity looks up, calls and records within its 30 s.
	check(c.GatewayTimeout > 0 && c.GatewayTimeout <= 10*time.Second, "GATEWAY_TIMEOUT must be within 0 and 10s")
	check(c.GatewayMargin > 0, "GATEWAY_MARGIN must be positive")
	return errors.Join(problems...)
}

// MigrateConfig is what `payments migrate …` needs: no keys and no other servers.
type MigrateConfig struct {
	service.MigrateConfig
	Gateway string `env:"GATEWAY" envDefault:"sandbox"`
}

// Validate reports what does not fit together.
func (c MigrateConfig) Validate() error {
	if c.Gateway != GatewaySandbox && c.Gateway != GatewayStripe {
		return errors.New("GATEWAY must be sandbox or stripe")
	}
	return nil
}
