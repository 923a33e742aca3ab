package pipelines

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"
)

// Diagnostic is one finding in a pipeline file: what is wrong, where, and what
// to do about it.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1; 0: the file as a whole
	Column   int      `json:"column"` // from 1, in characters
	Code     string   `json:"code"`   // stable word for tools: unknown-key, type, …
	Text     string   `json:"text"`
	Hint     string   `json:"hint,omitempty"`
	Source   string   `json:"source,omitempty"` // the line as it stands in the file
	Severity Severity `json:"severity"`         // of its code
}

// String is the diagnostic's first line: file:line:column: error[code]: text.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s[%s]: %s", d.place(), d.Severity, d.Code, d.Text)
}

func (d Diagnostic) place() string {
	if d.Line == 0 {
		return d.File
	}
	return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
}

// Diagnostics are all findings of a load, by file, line and column.
type Diagnostics []Diagnostic

// Errors tells how many of them are errors.
func (ds Diagnostics) Errors() int {
	n := 0
	for _, d := range ds {
		if d.Severity == Error {
			n++
		}
	}
	return n
}

// Write prints the diagnostics for people: the finding, the source line, a
// caret, and the hint. color adds ANSI colours.
func (ds Diagnostics) Write(w io.Writer, color bool) error {
	b := bufio.NewWriter(w)
	for _, d := range ds {
		d.write(b, color)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

func (d Diagnostic) write(b *bufio.Writer, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	hue := "31;1" // red
	switch d.Severity {
	case Warning:
		hue = "33;1" // yellow
	case Note:
		hue = "36;1" // cyan
	}
	fmt.Fprintf(b, "%s: %s: %s\n", d.place(), paint(hue, string(d.Severity)+"["+d.Code+"]"), d.Text)
	if d.Line > 0 && strings.TrimSpace(d.Source) != "" {
		gutter := fmt.Sprintf("%5d | ", d.Line)
		fmt.Fprintf(b, "%s%s\n", paint("2", gutter), printable(strings.TrimRight(d.Source, " \t")))
		fmt.Fprintf(b, "%s%s%s\n", paint("2", "      | "), indentTo(d.Source, d.Column), paint(hue, "^"))
	}
	if d.Hint != "" {
		fmt.Fprintf(b, "      %s %s\n", paint("36", "="), d.Hint)
	}
}

// printable puts a mark for each character that a terminal would obey, and for
// each byte that is none.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return utf8.RuneError
		}
		return r
	}, line)
}

// indentTo gives white space as wide as the line before column, tabs kept, so
// that the caret stands below its character.
func indentTo(line string, column int) string {
	var b strings.Builder
	n := 1
	for _, r := range line {
		if n >= column {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
		n++
	}
	for ; n < column; n++ {
		b.WriteByte(' ')
	}
	return b.String()
}

// JSON is the diagnostics as a JSON array, for --output json and editors.
func (ds Diagnostics) JSON() []byte {
	if ds == nil {
		ds = Diagnostics{}
	}
	return indented(ds)
}

// tidy sorts the diagnostics by place and drops repetitions (an anchored part
// that is used twice is wrong twice at the same place).
func (ds Diagnostics) tidy() Diagnostics {
	sort.SliceStable(ds, func(i, j int) bool {
		a, b := ds[i], ds[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	seen := make(map[string]bool, len(ds))
	kept := ds[:0]
	for _, d := range ds {
		if key := d.String(); !seen[key] {
			seen[key] = true
			kept = append(kept, d)
		}
	}
	return kept
}
