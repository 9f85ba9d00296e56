package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
)

// The payment providers.
const (
	GatewaySandbox = "sandbox"
	GatewayStripe  = "stripe"
)

// Config is the service's environment. What begins with TEMPORAL_ is read by Temporal's own client.
type Config struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	NATSURL     config.Secret `env:"NATS_URL,required,notEmpty"`
	HTTPAddr    string        `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr     string        `env:"OPS_ADDR" envDefault:":9090"`
	// DrainTimeout is how long requests and activities that run when the service is told to stop may take.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	// PayloadKeys seal what activities take and return.
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`

	// Gateway is the payment provider: sandbox or stripe.
	Gateway string `env:"GATEWAY" envDefault:"sandbox"`
	// GatewayTimeout bounds one call to the provider.
	GatewayTimeout time.Duration `env:"GATEWAY_TIMEOUT" envDefault:"5s"`
	// GatewayMargin is how long after its time-out a call may still reach the provider. Replicas' clocks must not differ
	// by more.
	GatewayMargin time.Duration `env:"GATEWAY_MARGIN" envDefault:"5s"`
	StripeAPIKey  config.Secret `env:"STRIPE_API_KEY"`

	Log logging.Config
}

// Validate reports what does not fit together.
func (c Config) Validate() error {
	var problems []error
	check := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New(problem))
		}
	}
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	check(c.DrainTimeout > 0, "DRAIN_TIMEOUT must be positive")
	check(c.Gateway == GatewaySandbox || c.Gateway == GatewayStripe, "GATEWAY must be sandbox or stripe")
	check(c.Gateway != GatewayStripe || c.StripeAPIKey != "", "GATEWAY=stripe needs STRIPE_API_KEY")
	// An activity looks up, calls and records within its 30 s.
	check(c.GatewayTimeout > 0 && c.GatewayTimeout <= 10*time.Second, "GATEWAY_TIMEOUT must be within 0 and 10s")
	check(c.GatewayMargin > 0, "GATEWAY_MARGIN must be positive")
	return errors.Join(problems...)
}

// MigrateConfig is what `payments migrate` needs: no keys and no other servers.
type MigrateConfig struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	// Gateway says whether the sandbox's books are wanted.
	Gateway string `env:"GATEWAY" envDefault:"sandbox"`
	Log     logging.Config
}

// Validate reports what does not fit together.
func (c MigrateConfig) Validate() error {
	if c.Gateway != GatewaySandbox && c.Gateway != GatewayStripe {
		return errors.New("GATEWAY must be sandbox or stripe")
	}
	return nil
}
