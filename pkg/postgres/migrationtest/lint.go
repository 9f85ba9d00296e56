package migrationtest

import (
	"fmt"
	"io/fs"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	pgquery "github.com/wasilibs/go-pgquery"

	"github.com/orderflow/orderflow/pkg/postgres"
)

// Refusal is a statement that must not run while programs use the database.
type Refusal struct {
	// File is the set's name and the path in its FS.
	File string
	Line int
	// Statement is its first line.
	Statement string
	// Why says what it would do, and what to do instead.
	Why string
}

func (r Refusal) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", r.File, r.Line, r.Statement, r.Why)
}

// Lint returns what is refused of the set's migrations: statements that rewrite or scan a table while nobody can use
// it, and those that take away what the programs of the release before still use. Only the way up is looked at: a
// rollback is for when things are broken already. An error means that a file cannot be read.
func Lint(set postgres.Migrations) ([]Refusal, error) {
	migrations, err := set.List()
	if err != nil {
		return nil, err
	}
	known := knowledge{}
	var all []Refusal
	for _, m := range migrations {
		content, err := fs.ReadFile(set.FS, m.File)
		if err != nil {
			return nil, err
		}
		name := set.Name + "/" + m.File
		if m.IsBackfill() {
			all = append(all, lintBackfill(name, string(content))...)
			continue
		}
		refusals, err := lintFile(name, string(content), known)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, refusals...)
	}
	return all, nil
}

// knowledge is what the files of a set have said of columns so far: "table.column" is never null since a constraint
// "table/name", which counts once it is validated.
type knowledge map[string]*notNull

type notNull struct {
	constraint string
	validated  bool
}

// file is one migration while it is looked at.
type file struct {
	name, up      string
	firstLine     int // of up
	inTransaction bool

	created map[string]bool // tables, which nobody uses yet
	added   map[string]bool // constraints, as "table/name"
	dropped map[string]bool // indexes that are surely not there, by name
	known   knowledge
}

// statement is one of a file.
type statement struct {
	*file
	text string
	line int
}

func lintFile(name, content string, known knowledge) ([]Refusal, error) {
	f := &file{
		name: name, inTransaction: true, known: known,
		created: map[string]bool{}, added: map[string]bool{}, dropped: map[string]bool{},
	}
	f.split(content)
	tree, err := pgquery.Parse(f.up)
	if err != nil {
		return nil, err
	}
	var refusals []Refusal
	for _, raw := range tree.GetStmts() {
		end := len(f.up)
		if n := int(raw.GetStmtLen()); n > 0 {
			end = int(raw.GetStmtLocation()) + n
		}
		begin := int(raw.GetStmtLocation())
		s := statement{file: f, text: f.up[begin:end], line: f.firstLine + strings.Count(f.up[:begin], "\n")}
		for _, why := range s.check(raw.GetStmt()) {
			refusals = append(refusals, s.refuse(why))
		}
	}
	return refusals, nil
}

// split finds the way up by goose's annotations.
func (f *file) split(content string) {
	var up strings.Builder
	inUp := false
	for i, line := range strings.SplitAfter(content, "\n") {
		annotation, ok := strings.CutPrefix(strings.TrimSpace(line), "-- +goose ")
		switch {
		case ok && annotation == "Up":
			inUp, f.firstLine = true, i+2
		case ok && annotation == "Down":
			inUp = false
		case ok && annotation == "NO TRANSACTION":
			f.inTransaction = false
			if inUp {
				up.WriteString("\n")
			}
		case inUp:
			up.WriteString(line)
		}
	}
	f.up = up.String()
}

// refuse describes the statement by its first line that is no comment.
func (s statement) refuse(why string) Refusal {
	line := s.line
	for l := range strings.SplitSeq(s.text, "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "--") {
			return Refusal{s.name, line, l, why}
		}
		line++
	}
	return Refusal{s.name, s.line, "", why}
}

// marked reports whether a comment before the statement says why nobody needs any more what it takes away.
func (s statement) marked() bool {
	for l := range strings.SplitSeq(s.text, "\n") {
		if why, ok := strings.CutPrefix(strings.TrimSpace(l), "-- contract:"); ok && strings.TrimSpace(why) != "" {
			return true
		}
	}
	return false
}

// contract refuses a statement that takes something away, unless it is marked.
func (s statement) contract(what string) []string {
	if s.marked() {
		return nil
	}
	return []string{what + ", which programs of the release before may use while this one is rolled out: " +
		"do it one release after the last program that does, and say so in a comment before the statement, " +
		"\"-- contract: <what stopped using it, and when>\""}
}

// isNew reports whether the table was created in this file, so that nobody waits for it.
func (s statement) isNew(table *pg.RangeVar) bool { return s.created[tableName(table)] }

func tableName(t *pg.RangeVar) string {
	return strings.TrimPrefix(t.GetSchemaname()+"."+t.GetRelname(), ".")
}

// lintBackfill refuses what is not one statement that takes up to $1 rows.
func lintBackfill(name, content string) []Refusal {
	s := statement{file: &file{name: name}, text: content, line: 1}
	tree, err := pgquery.Parse(content)
	if err != nil {
		return []Refusal{s.refuse(err.Error())}
	}
	if len(tree.GetStmts()) != 1 {
		return []Refusal{s.refuse("a backfill is one statement, which is run until it changes no row")}
	}
	if !limitsItself(tree.ProtoReflect()) {
		return []Refusal{s.refuse("it would lock every row until it is done: select the rows that still need it, " +
			"LIMIT $1, and change those")}
	}
	return nil
}
