package eventbus_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
)

func TestMigrationsSuitARunningSystem(t *testing.T) {
	t.Parallel()
	migrationtest.Run(t, migrationtest.Suite{
		Sets: []postgres.Migrations{eventbus.Schema}, Folders: []string{"pkg/eventbus"},
		Seed: func(t *testing.T, pool *pgxpool.Pool) {
			t.Helper()
			require.NoError(t, postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				_, err := eventbus.Once(t.Context(), tx, "consumer", "event")
				return err
			}))
		},
	})
}
