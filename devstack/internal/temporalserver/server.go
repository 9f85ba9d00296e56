package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Run sets up or updates the schema, serves until ctx ends and then stops the four services.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	serverConfig, err := cfg.server()
	if err != nil {
		return err
	}
	logger, quieten, err := newLogger(cfg.LogLevel)
	if err != nil {
		return err
	}
	if err := updateSchemas(serverConfig, logger); err != nil {
		return err
	}

	server, err := temporal.NewServer(
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithConfig(serverConfig),
		temporal.WithStaticHosts(cfg.hosts()),
		temporal.WithDynamicConfigClient(settings()),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
	if err != nil {
		return fmt.Errorf("prepare the Temporal server: %w", err)
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start the Temporal server: %w", err)
	}
	err = registerNamespace(ctx, cfg)
	if err == nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		err = nil
	}
	quieten()
	return errors.Join(err, server.Stop())
}

// registerNamespace is idempotent. It retries, because the frontend answers a little before the
// services behind it do.
func registerNamespace(ctx context.Context, cfg Config) error {
	conn, err := grpc.NewClient(cfg.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := workflowservice.NewWorkflowServiceClient(conn)

	deadline := time.Now().Add(30 * time.Second)
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := client.RegisterNamespace(attempt, &workflowservice.RegisterNamespaceRequest{
			Namespace:                        cfg.Namespace,
			Description:                      "Orderflow's order sagas",
			WorkflowExecutionRetentionPeriod: durationpb.New(Retention),
		})
		cancel()
		err = serviceerror.FromStatus(serviceerror.ToStatus(err))
		var exists *serviceerror.NamespaceAlreadyExists
		if err == nil || errors.As(err, &exists) {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("register namespace %s: %w", cfg.Namespace, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
