package migrationtest

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// alterTable checks each part of an ALTER TABLE.
func (s statement) alterTable(n *pg.AlterTableStmt) (refused []string) {
	if s.isNew(n.GetRelation()) || n.GetObjtype() != pg.ObjectType_OBJECT_TABLE {
		return nil
	}
	for _, node := range n.GetCmds() {
		refused = append(refused, s.alteration(tableName(n.GetRelation()), node.GetAlterTableCmd())...)
	}
	return refused
}

func (s statement) alteration(table string, cmd *pg.AlterTableCmd) []string {
	switch cmd.GetSubtype() {
	case pg.AlterTableType_AT_AddColumn:
		return addColumn(cmd.GetDef().GetColumnDef())
	case pg.AlterTableType_AT_AlterColumnType:
		return []string{rewrites + "add a column of the new type, write both, backfill the new one, and drop the old one " +
			"a release later"}
	case pg.AlterTableType_AT_SetNotNull:
		if known := s.known[table+"."+cmd.GetName()]; known == nil || !known.validated {
			return []string{"it reads the whole table while nobody can use it: add CHECK (" + cmd.GetName() +
				" IS NOT NULL) NOT VALID, validate it in the next file, and set NOT NULL in the one after"}
		}
	case pg.AlterTableType_AT_AddConstraint:
		return s.addConstraint(table, cmd.GetDef().GetConstraint())
	case pg.AlterTableType_AT_ValidateConstraint:
		if s.added[table+"/"+cmd.GetName()] {
			return []string{"the transaction that added the constraint locks the table until it is validated: " +
				"validate it in a file of its own"}
		}
		for _, known := range s.known {
			known.validated = known.validated || known.constraint == table+"/"+cmd.GetName()
		}
	case pg.AlterTableType_AT_DropColumn:
		return s.contract("it drops a column")
	case pg.AlterTableType_AT_DropNotNull:
		return s.contract("it lets a column be null")
	case pg.AlterTableType_AT_ColumnDefault:
		if cmd.GetDef() == nil {
			return s.contract("it takes away the default of a column")
		}
	case pg.AlterTableType_AT_SetLogged, pg.AlterTableType_AT_SetUnLogged, pg.AlterTableType_AT_SetTableSpace,
		pg.AlterTableType_AT_SetAccessMethod, pg.AlterTableType_AT_SetExpression:
		return []string{rewrites + "create a table beside it, write both, backfill, and drop the old one a release later"}
	case pg.AlterTableType_AT_DetachPartition:
		if !cmd.GetDef().GetPartitionCmd().GetConcurrent() {
			return []string{"nobody can use the table until all who do are done: use DETACH PARTITION … CONCURRENTLY"}
		}
	default: // The others change the catalogue only.
	}
	return nil
}

func addColumn(column *pg.ColumnDef) (refused []string) {
	const apart = "add the column alone, then the constraint NOT VALID, and validate it in the next file"
	required, hasDefault := false, false
	for _, node := range column.GetConstraints() {
		c := node.GetConstraint()
		switch c.GetContype() {
		case pg.ConstrType_CONSTR_NOTNULL:
			required = true
		case pg.ConstrType_CONSTR_DEFAULT:
			hasDefault = true
			if !isStable(c.GetRawExpr()) {
				refused = append(refused, rewrites+"add the column without a default, set the default, and backfill old rows")
			}
		case pg.ConstrType_CONSTR_GENERATED, pg.ConstrType_CONSTR_IDENTITY:
			refused = append(refused, rewrites+"add a plain column that programs or a trigger write, and backfill it")
		case pg.ConstrType_CONSTR_CHECK:
			refused = append(refused, "it reads the whole table while nobody can use it: "+apart)
		case pg.ConstrType_CONSTR_FOREIGN:
			refused = append(refused, "it reads the whole table while nobody can write to it or to the other one: "+apart)
		case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY:
			refused = append(refused, usingIndex)
		default: // NULL says nothing, and what is deferrable belongs to one of those above.
		}
	}
	if names := column.GetTypeName().GetNames(); len(names) > 0 {
		serial := []string{"smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"}
		if slices.Contains(serial, names[len(names)-1].GetString_().GetSval()) {
			refused = append(refused, rewrites+"add a plain column with a sequence as its default, and backfill old rows")
		}
	}
	if required && !hasDefault {
		refused = append(refused, "old rows have no value, and programs of the release before insert none: "+
			"add the column without NOT NULL, or with a default")
	}
	return refused
}

const usingIndex = "nobody can use the table while its index is built: create the unique index concurrently first, " +
	"then ADD CONSTRAINT … USING INDEX"

func (s statement) addConstraint(table string, c *pg.Constraint) []string {
	s.added[table+"/"+c.GetConname()] = true
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_CHECK, pg.ConstrType_CONSTR_FOREIGN:
		s.learn(table, c, !c.GetSkipValidation())
		if !c.GetSkipValidation() {
			return []string{"it reads the whole table while others wait: add it NOT VALID, which holds for new rows at " +
				"once, and VALIDATE CONSTRAINT in the next file"}
		}
	case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY:
		if c.GetIndexname() == "" {
			return []string{usingIndex}
		}
	case pg.ConstrType_CONSTR_EXCLUSION:
		return []string{"nobody can use the table while its index is built, and it cannot be built before: " +
			"create a table beside it that has the constraint, write both, backfill, and drop the old one a release later"}
	default: // Attributes of other constraints.
	}
	return nil
}

// learn notes that a constraint keeps a column from being null, if that is what it says.
func (s statement) learn(table string, c *pg.Constraint, validated bool) {
	test := c.GetRawExpr().GetNullTest()
	fields := test.GetArg().GetColumnRef().GetFields()
	if test.GetNulltesttype() == pg.NullTestType_IS_NOT_NULL && len(fields) == 1 {
		column := fields[0].GetString_().GetSval()
		s.known[table+"."+column] = &notNull{constraint: table + "/" + c.GetConname(), validated: validated}
	}
}

// isStable reports whether a default is the same for all rows, so that PostgreSQL need not write them.
func isStable(expression *pg.Node) bool {
	switch e := expression.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_SqlvalueFunction:
		return true
	case *pg.Node_TypeCast:
		return isStable(e.TypeCast.GetArg())
	case *pg.Node_AArrayExpr:
		return !slices.ContainsFunc(e.AArrayExpr.GetElements(), func(n *pg.Node) bool { return !isStable(n) })
	case *pg.Node_FuncCall:
		names := e.FuncCall.GetFuncname()
		stable := []string{"now", "transaction_timestamp", "statement_timestamp"}
		return slices.Contains(stable, names[len(names)-1].GetString_().GetSval())
	}
	return false
}
