package pipelines

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// GitHub is the diagnostics as workflow commands, so that they stand beside the
// lines of a pull request.
// Source: docs.github.com, Workflow commands for GitHub Actions.
func (ds Diagnostics) GitHub() []byte {
	var b bytes.Buffer
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	word := map[Severity]string{Error: "error", Warning: "warning", Note: "notice"}
	for _, d := range ds {
		fmt.Fprintf(&b, "::%s file=%s", word[d.Severity], property.Replace(filepath.ToSlash(d.File)))
		if d.Line > 0 {
			fmt.Fprintf(&b, ",line=%d,col=%d", d.Line, d.Column)
		}
		message := d.Text
		if d.Hint != "" {
			message += "\n" + d.Hint
		}
		fmt.Fprintf(&b, ",title=%s::%s\n", property.Replace(d.Code), text.Replace(message))
	}
	return b.Bytes()
}

// The parts of SARIF 2.1.0 that we write.
// Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifMessage `json:"shortDescription"`
		Full    sarifMessage `json:"fullDescription"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// SARIF is the diagnostics in the format of code scanners; its words for
// severities are ours. version is leat's.
func (ds Diagnostics) SARIF(version string) []byte {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}, Tool: sarifTool{sarifDriver{Name: "leat", Version: version, Rules: []sarifRule{}}}}
	rule := map[string]int{}
	for _, d := range ds {
		if _, ok := rule[d.Code]; !ok {
			c, _ := findCode(d.Code)
			rule[d.Code] = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{d.Code, sarifMessage{c.Short}, sarifMessage{c.Long}, sarifDefault{string(severityOf(d.Code))}})
		}
		message := d.Text
		if d.Hint != "" {
			message += ": " + d.Hint
		}
		at := sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: filepath.ToSlash(d.File)}).String()}}
		if d.Line > 0 {
			at.Region = &sarifRegion{d.Line, d.Column}
		}
		run.Results = append(run.Results, sarifResult{d.Code, rule[d.Code], string(d.Severity), sarifMessage{message}, []sarifLocation{{at}}})
	}
	return indented(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// indented is v as JSON for people, too.
func indented(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own structs of texts and numbers always marshal
	}
	return b.Bytes()
}
