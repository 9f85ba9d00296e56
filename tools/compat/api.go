package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"
)

// compareAPIs compares the OpenAPI documents.
func compareAPIs(found *findings, release, now fs.FS) error {
	documents, err := union(release, now, "*/openapi.yaml", "services/*/openapi.yaml")
	if err != nil {
		return err
	}
	for _, document := range documents {
		if err := compareAPI(found, document, release, now); err != nil {
			return fmt.Errorf("%s: %w", document, err)
		}
	}
	return nil
}

func compareAPI(found *findings, document string, release, now fs.FS) error {
	owner := path.Base(path.Dir(document))
	before, err := loadAPI(release, document)
	if err != nil {
		return fmt.Errorf("at the release: %w", err)
	}
	after, err := loadAPI(now, document)
	if err != nil {
		return err
	}
	switch {
	case before == nil:
		found.addf(added, owner, "the API %s", document)
		return nil
	case after == nil:
		found.addf(breaks, owner, "the API %s was removed: released clients still call it", document)
		return nil
	}
	found.compared++
	differences, sources, err := diff.GetWithOperationsSourcesMap(diff.NewConfig(), before, after)
	if err != nil {
		return err
	}
	speak := checker.NewDefaultLocalizer()
	for _, c := range checker.CheckBackwardCompatibilityUntilLevel(rules(), differences, sources, checker.INFO) {
		subject := strings.Join(strings.Fields(owner+" "+c.GetOperation()+" "+c.GetPath()), " ")
		text := c.GetUncolorizedText(speak)
		switch {
		case c.GetLevel() != checker.INFO:
			found.addf(breaks, subject, "%s: released clients %s", text, consequence(c.GetId()))
		case strings.HasSuffix(c.GetId(), "-added"):
			found.addf(added, subject, "%s", text)
		default:
			found.addf(changed, subject, "%s", text)
		}
	}
	return nil
}

// rules are oasdiff's, of which warnings break too, and these: what was answered once is read by somebody.
func rules() *checker.Config {
	return checker.NewConfig(checker.GetAllChecks(), checker.WithSeverityLevels(map[string]checker.Level{
		checker.ResponseOptionalPropertyRemovedId: checker.ERR,
		checker.OptionalResponseHeaderRemovedId:   checker.ERR,
		checker.ResponseNonSuccessStatusRemovedId: checker.ERR,
		checker.APIOperationIdRemovedId:           checker.ERR,
		// The address holds the version of an API; that of its document is for people.
		checker.APIVersionNotBumpedId:      checker.NONE,
		checker.APIMajorVersionNotBumpedId: checker.NONE,
	}))
}

// consequence says what a change means to released clients by the name of oasdiff's rule.
func consequence(rule string) string {
	direction, _, _ := strings.Cut(rule, "-")
	switch {
	case strings.HasPrefix(rule, "new-required-") || strings.HasSuffix(rule, "-became-required"):
		return "do not send it"
	case direction == "request" && strings.HasSuffix(rule, "-removed"):
		return "still send it"
	case direction == "request":
		return "still send what was accepted"
	case strings.HasSuffix(rule, "-value-added"):
		return "do not know it"
	case direction == "api":
		return "still call it as it was"
	case strings.HasSuffix(rule, "-removed"):
		return "still read it"
	default:
		return "still rely on what was answered"
	}
}

// loadAPI returns a document, or nil where there is none.
func loadAPI(tree fs.FS, document string) (*load.SpecInfo, error) {
	data, err := read(tree, document)
	if data == nil || err != nil {
		return nil, err
	}
	spec, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	return &load.SpecInfo{Url: document, Spec: spec}, nil
}
