package migrationtest

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// check returns why the statement is refused, if it is.
func (s statement) check(node *pg.Node) []string {
	if why := s.outsideTransaction(node); why != "" {
		return []string{why}
	}
	switch n := node.GetNode().(type) {
	case *pg.Node_CreateStmt:
		return s.createTable(n.CreateStmt)
	case *pg.Node_CreateTableAsStmt:
		s.created[tableName(n.CreateTableAsStmt.GetInto().GetRel())] = true
	case *pg.Node_AlterTableStmt:
		return s.alterTable(n.AlterTableStmt)
	case *pg.Node_IndexStmt:
		return s.createIndex(n.IndexStmt)
	case *pg.Node_DropStmt:
		return s.drop(n.DropStmt)
	case *pg.Node_RenameStmt:
		return s.rename(n.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		return s.contract("it moves " + kind(n.AlterObjectSchemaStmt.GetObjectType()) + " to another schema")
	case *pg.Node_TruncateStmt:
		return s.contract("it empties a table")
	case *pg.Node_UpdateStmt:
		return s.changesRows(n.UpdateStmt.GetRelation())
	case *pg.Node_DeleteStmt:
		return s.changesRows(n.DeleteStmt.GetRelation())
	case *pg.Node_InsertStmt:
		if len(n.InsertStmt.GetSelectStmt().GetSelectStmt().GetFromClause()) > 0 {
			return s.changesRows(n.InsertStmt.GetRelation())
		}
	case *pg.Node_MergeStmt:
		return s.changesRows(n.MergeStmt.GetRelation())
	case *pg.Node_ReindexStmt:
		if !has(n.ReindexStmt.GetParams(), "concurrently") {
			return []string{"nobody can write while it runs: use REINDEX … CONCURRENTLY"}
		}
	case *pg.Node_VacuumStmt:
		if has(n.VacuumStmt.GetOptions(), "full") {
			return []string{rewrites + "PostgreSQL reuses the room without it"}
		}
	case *pg.Node_ClusterStmt:
		return []string{rewrites + "create an index with the columns that are read, instead of an order on disk"}
	case *pg.Node_RefreshMatViewStmt:
		if !n.RefreshMatViewStmt.GetConcurrent() {
			return []string{"nobody can read the view while it runs: use REFRESH MATERIALIZED VIEW CONCURRENTLY"}
		}
	case *pg.Node_LockStmt:
		return []string{"it locks a table until the migration ends: the statements take the locks they need"}
	case *pg.Node_VariableSetStmt:
		if slices.Contains([]string{"lock_timeout", "statement_timeout"}, n.VariableSetStmt.GetName()) {
			return []string{"a migration that waits for a lock makes all others wait behind it: " +
				"the time-outs are those of `migrate up`, and the operator's to change, in DATABASE_URL"}
		}
	case *pg.Node_AlterDomainStmt:
		if c := n.AlterDomainStmt.GetDef().GetConstraint(); c != nil && !c.GetSkipValidation() {
			return []string{"it reads every table that has the domain while others wait: add the constraint NOT VALID, " +
				"and validate it in the next file"}
		}
	case *pg.Node_TransactionStmt:
		return []string{"the file is a transaction already, which this would end half way"}
	case *pg.Node_DoStmt:
		return []string{"nothing can look into it: write the statements down, and what loops as a backfill"}
	}
	return nil
}

const noTransaction = "-- +goose NO TRANSACTION"

const rewrites = "it writes the whole table anew while nobody can read or write it: "

// outsideTransaction refuses what does not fit the kind of file that it is in.
func (s statement) outsideTransaction(node *pg.Node) string {
	concurrent := false
	switch n := node.GetNode().(type) {
	case *pg.Node_IndexStmt:
		concurrent = n.IndexStmt.GetConcurrent()
	case *pg.Node_DropStmt:
		concurrent = n.DropStmt.GetConcurrent()
	case *pg.Node_ReindexStmt:
		concurrent = has(n.ReindexStmt.GetParams(), "concurrently")
	case *pg.Node_AlterTableStmt:
		for _, c := range n.AlterTableStmt.GetCmds() {
			concurrent = concurrent || c.GetAlterTableCmd().GetDef().GetPartitionCmd().GetConcurrent()
		}
	}
	switch {
	case concurrent && s.inTransaction:
		return "CONCURRENTLY works in no transaction: move it to a file of its own that begins with " + noTransaction
	case !concurrent && !s.inTransaction:
		return "if the file stops half way, this stays done and is done again: " +
			"only what is CONCURRENTLY belongs into a file with " + noTransaction
	}
	return ""
}

func (s statement) createTable(n *pg.CreateStmt) []string {
	table := tableName(n.GetRelation())
	s.created[table] = true
	for _, element := range n.GetTableElts() {
		if c := element.GetConstraint(); c.GetContype() == pg.ConstrType_CONSTR_CHECK {
			s.learn(table, c, true)
		}
	}
	return nil
}

func (s statement) createIndex(n *pg.IndexStmt) []string {
	switch {
	case s.isNew(n.GetRelation()):
		return nil
	case !n.GetConcurrent():
		return []string{"nobody can write to the table while the index is built: use CREATE INDEX CONCURRENTLY, " +
			"in a file of its own that begins with " + noTransaction}
	case n.GetIfNotExists() || !s.dropped[n.GetIdxname()]:
		return []string{"an attempt that fails leaves an invalid index behind, which the next one trips over or takes " +
			"for good: name it, without IF NOT EXISTS, and begin the file with DROP INDEX CONCURRENTLY IF EXISTS of it"}
	}
	return nil
}

func (s statement) drop(n *pg.DropStmt) []string {
	switch n.GetRemoveType() {
	case pg.ObjectType_OBJECT_INDEX:
		if !n.GetConcurrent() {
			return []string{"it waits for all who use the table, and everybody else behind it: use DROP INDEX " +
				"CONCURRENTLY, in a file of its own that begins with " + noTransaction}
		}
		for _, object := range n.GetObjects() {
			names := object.GetList().GetItems()
			s.dropped[names[len(names)-1].GetString_().GetSval()] = n.GetMissingOk()
		}
		return nil
	default:
		return s.contract("it drops " + kind(n.GetRemoveType()))
	}
}

func (s statement) rename(n *pg.RenameStmt) []string {
	switch n.GetRenameType() {
	case pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_TABCONSTRAINT:
		return nil // Programs of ours tell constraints by name only in errors that they expect at the same release.
	default:
		return s.contract("it renames " + kind(n.GetRenameType()))
	}
}

func (s statement) changesRows(table *pg.RangeVar) []string {
	if s.isNew(table) {
		return nil
	}
	return []string{"it holds the lock of every row that it changes until it is done: make it a backfill, " +
		"which commits in batches"}
}

// kind is what an object is called in a sentence.
func kind(t pg.ObjectType) string {
	return "a " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(t.String(), "OBJECT_"), "_", " "))
}

func has(options []*pg.Node, name string) bool {
	return slices.ContainsFunc(options, func(o *pg.Node) bool { return o.GetDefElem().GetDefname() == name })
}

// limitsItself reports whether some query in the tree takes no more than $1 rows.
func limitsItself(tree protoreflect.Message) (found bool) {
	if query, ok := tree.Interface().(*pg.SelectStmt); ok && query.GetLimitCount().GetParamRef().GetNumber() == 1 {
		return true
	}
	tree.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil {
			return true
		}
		if field.IsList() {
			for i := range value.List().Len() {
				found = found || limitsItself(value.List().Get(i).Message())
			}
		} else {
			found = limitsItself(value.Message())
		}
		return !found
	})
	return found
}
