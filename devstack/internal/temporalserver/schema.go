package temporalserver

import (
	"fmt"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/tools/common/schema"
	sqltool "go.temporal.io/server/tools/sql"
)

// The tool's embedded schemas, by the directory they have in the server's source.
const (
	mainSchema       = "postgresql/v12/temporal"
	visibilitySchema = "postgresql/v12/visibility"
)

// updateSchemas brings both databases to the version this server was built with. Every step is
// idempotent, so a start that was killed half way is repaired by the next one.
func updateSchemas(cfg *config.Config, logger log.Logger) error {
	for store, name := range map[string]string{mainStore: mainSchema, visStore: visibilitySchema} {
		sql := cfg.Persistence.DataStores[store].SQL
		if err := updateSchema(sql, name, logger); err != nil {
			return fmt.Errorf("update the schema of database %s: %w", sql.DatabaseName, err)
		}
	}
	return nil
}

func updateSchema(cfg *config.SQL, name string, logger log.Logger) error {
	conn, err := sqltool.NewConnection(cfg, logger)
	if err != nil {
		return err
	}
	defer conn.Close()

	// Version 0.0 only creates the version tables; every table comes from the versioned updates.
	setup := &schema.SetupConfig{InitialVersion: "0.0"}
	if err := schema.NewSetupSchemaTask(conn, setup, logger).Run(); err != nil {
		return err
	}
	return schema.NewUpdateSchemaTask(conn, &schema.UpdateConfig{SchemaName: name}, logger).Run()
}
