package pipelines

import (
	"fmt"
	"regexp"
	"strings"
)

// JSON Schemas of the language, for editors: made from the tables that the
// loader checks against. They are looser than leat lint where a schema cannot
// say what is meant (expressions, names, keys that exclude each other).

// fragment is a piece of a JSON Schema.
type fragment = map[string]any

// SchemaNames are the files that have a schema.
func SchemaNames() []string { return []string{"pipeline", "config", "test"} }

// JSONSchema is the schema of a kind of file, one of SchemaNames.
func JSONSchema(name string) ([]byte, error) {
	var s *schemas
	root := ""
	switch name {
	case "pipeline":
		s, root = newSchemas(kinds), "pipeline"
	case "config":
		s, root = newSchemas(configKinds), "worker config"
	case "test":
		s, root = newSchemas(kinds), "test file"
	default:
		return nil, fmt.Errorf("there is no schema %q: %s", name, strings.Join(SchemaNames(), ", "))
	}
	ref := s.group(root)
	if len(s.unknown) > 0 {
		return nil, fmt.Errorf("make schema %q: no fragment for %s", name, strings.Join(s.unknown, "; "))
	}
	return indented(fragment{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "leat " + name, "$ref": ref["$ref"], "$defs": s.defs,
	}), nil
}

// schemas collects the definitions that a schema refers to.
type schemas struct {
	kinds   []*Kind
	words   map[string]func(*schemas, Key) fragment
	defs    map[string]any
	unknown []string // words of Key.Type that have no fragment
}

func newSchemas(kinds []*Kind) *schemas {
	return &schemas{kinds: kinds, words: wordFragments, defs: map[string]any{}}
}

// wordFragments say what the words of Key.Type mean to a schema. A word that
// is not here is a list of choices: "asc or desc". Where the construct has a
// group, its name stands for group(Key.Group).
var wordFragments = map[string]func(s *schemas, k Key) fragment{
	"1":                  func(*schemas, Key) fragment { return fragment{"enum": []any{1, "1"}} },
	"IANA zone":          text,
	"address":            text,
	"aggregate function": func(*schemas, Key) fragment { return choice(aggregateNames()...) },
	"bool":               func(*schemas, Key) fragment { return orReference(fragment{"type": "boolean"}) },
	"column":             text,
	"duration":           func(*schemas, Key) fragment { return orReference(durations()) },
	"expression":         expression,
	"final":              func(*schemas, Key) fragment { return choice("final") },
	"host name":          text,
	"int":                func(*schemas, Key) fragment { return orReference(fragment{"type": "integer"}) },
	"json":               func(*schemas, Key) fragment { return choice("json") },
	"kafka":              func(*schemas, Key) fragment { return choice("kafka") },
	"name": func(*schemas, Key) fragment {
		return orReference(fragment{"type": "string", "pattern": namePattern.String()})
	},
	"number":        func(*schemas, Key) fragment { return orReference(fragment{"type": "number"}) },
	"one character": text,
	"path":          text,
	"percentage": func(*schemas, Key) fragment {
		return orReference(fragment{"type": []any{"string", "number"}, "pattern": `^[0-9.]+ *%?$`})
	},
	"pipeline name": func(*schemas, Key) fragment {
		return orReference(fragment{"type": []any{"string", "integer"}, "pattern": pipelinePattern.String()})
	},
	"policy":   func(*schemas, Key) fragment { return choice("fail", "skip", "dead_letter") },
	"sink":     text,
	"size":     func(*schemas, Key) fragment { return fragment{"type": []any{"string", "integer"}} },
	"source":   text,
	"sse sink": text,
	"stage": func(*schemas, Key) fragment {
		return choice("decode", "event_time", "expression", "aggregate", "late", "produce")
	},
	"table": text,
	"text":  text,
	"time":  text,
	"topic": text,
	"true":  func(*schemas, Key) fragment { return fragment{"enum": []any{true, "true"}} },

	"time of day": text,
	"low, normal, high, urgent or an expression": expression,
	"normal, high, urgent or an expression":      expression,

	"earliest, latest or a timestamp": func(*schemas, Key) fragment { return anyOf(choice("earliest", "latest"), scalar()) },
	"column or {field, max_future}":   func(s *schemas, k Key) fragment { return anyOf(scalar(), s.group(k.Group)) },
	"duration or {before, after}":     func(s *schemas, k Key) fragment { return anyOf(durations(), s.group(k.Group)) },
	"close, update or {mode, throttle}": func(s *schemas, k Key) fragment {
		return anyOf(choice("close", "update"), s.group(k.Group))
	},
	"update or {mode, throttle}":            func(s *schemas, k Key) fragment { return anyOf(choice("update"), s.group(k.Group)) },
	"drop, dead_letter or {as: name}":       func(s *schemas, k Key) fragment { return anyOf(choice("drop", "dead_letter"), s.group(k.Group)) },
	"{header, delimiter}":                   func(s *schemas, _ Key) fragment { return s.group("csv") },
	"window":                                windowFragment,
	"same, or a tumbling or hopping window": windowFragment,

	"text, or a list": func(s *schemas, k Key) fragment { return anyOf(text(s, k), list(text(s, k))) },

	"alerts":          construct,
	"push":            construct,
	"retry":           construct,
	"quiet":           construct,
	"dashboard":       construct,
	"dead_letter":     construct,
	"debezium":        func(*schemas, Key) fragment { return choice("debezium") },
	"errors":          construct,
	"listen":          construct,
	"sasl":            construct,
	"schema_registry": construct,
	"tls":             construct,
	"serve":           construct,
	"auth":            construct,
	"jwt":             construct,
	"session":         construct,
	"limits":          construct,
	"watermark":       construct,

	"list of cases":                           constructs,
	"list of expectations":                    constructs,
	"list of panels":                          constructs,
	"list of sinks":                           constructs,
	"list of steps":                           constructs,
	"list of quiet spans":                     constructs,
	"list of tests":                           constructs,
	"list of transforms":                      constructs,
	"list of {from, set, drop}":               constructs,
	"list of {when, set, delete}":             constructs,
	"list of tokens":                          constructs,
	"list of view rules":                      constructs,
	"list of networks":                        texts,
	"list of days":                            texts,
	"list of origins":                         texts,
	"list of claims":                          texts,
	"list of readers":                         texts,
	"list of secrets":                         texts,
	"list of columns":                         columnList,
	"list of host:port":                       texts,
	"list of names":                           texts,
	"list of topics":                          texts,
	"list of rows":                            func(*schemas, Key) fragment { return list(fragment{}) },
	"list of columns, or mapping left: right": func(s *schemas, k Key) fragment { return anyOf(columnList(s, k), mapping(text(s, k))) },
	"list of columns, or {columns, format}":   func(s *schemas, k Key) fragment { return anyOf(columnList(s, k), s.group(k.Group)) },

	"mapping":                    func(*schemas, Key) fragment { return fragment{"type": "object"} },
	"mapping column: aggregate":  func(s *schemas, k Key) fragment { return mapping(anyOf(fragment{"type": "string"}, s.group(k.Group))) },
	"mapping column: expression": func(s *schemas, k Key) fragment { return mapping(expression(s, k)) },
	"mapping column: expression, or list of columns": func(s *schemas, k Key) fragment { return anyOf(mapping(expression(s, k)), columnList(s, k)) },
	"mapping column: type":                           func(s *schemas, _ Key) fragment { return mapping(s.columnType()) },
	"mapping name: source":                           func(s *schemas, k Key) fragment { return mapping(s.group(k.Group)) },
	"mapping name: table":                            func(s *schemas, k Key) fragment { return mapping(s.group(k.Group)) },
	"mapping name: text":                             func(s *schemas, k Key) fragment { return mapping(text(s, k)) },
	"mapping of constants":                           func(s *schemas, k Key) fragment { return mapping(text(s, k)) },
	"mapping or text":                                func(*schemas, Key) fragment { return fragment{} },
	"text or mapping":                                func(*schemas, Key) fragment { return fragment{} },
}

// scalar is any text: YAML makes numbers of some.
func scalar() fragment { return fragment{"type": []any{"string", "number", "boolean"}} }

func text(*schemas, Key) fragment { return scalar() }

// expression: a null is the word nil.
func expression(*schemas, Key) fragment {
	return fragment{"type": []any{"string", "number", "boolean", "null"}}
}

func durations() fragment {
	return fragment{"type": "string", "pattern": `^-?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h|d|w|mo|y))+$`}
}

func list(items fragment) fragment { return fragment{"type": "array", "items": items} }

func mapping(values fragment) fragment {
	return fragment{"type": "object", "additionalProperties": values}
}

func texts(*schemas, Key) fragment { return list(scalar()) }

// columnList: names, paths, or {name: expression}.
func columnList(s *schemas, k Key) fragment {
	return list(anyOf(scalar(), fragment{"type": "object", "additionalProperties": expression(s, k), "minProperties": 1}))
}

func construct(s *schemas, k Key) fragment { return s.group(k.Group) }

func constructs(s *schemas, k Key) fragment { return list(s.group(k.Group)) }

func windowFragment(s *schemas, k Key) fragment { return anyOf(choice("same"), s.group(k.Group)) }

func anyOf(parts ...fragment) fragment { return fragment{"anyOf": parts} }

// choice is one of some words, or a reference to the environment.
func choice(words ...string) fragment { return orReference(fragment{"enum": words}) }

// orReference also takes ${VAR}, which is replaced before typing.
func orReference(f fragment) fragment {
	return anyOf(f, fragment{"type": "string", "pattern": `\$\{.*\}`})
}

// choicePattern is a list of words: full or columns.
var choicePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(, [A-Za-z0-9_-]+)* or [A-Za-z0-9_-]+$`)

// value is the fragment of what stands under a key.
func (s *schemas) value(kind *Kind, k Key) fragment {
	f := fragment{}
	switch make, ok := s.words[k.Type]; {
	case k.Type == "kind":
		f = fragment{"const": kind.Name}
	case ok:
		f = make(s, k)
	case choicePattern.MatchString(k.Type):
		f = choice(strings.Split(strings.Replace(k.Type, " or ", ", ", 1), ", ")...)
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("%q, of %s in %s", k.Type, k.Name, article(kind.title())))
	}
	doc := k.Doc
	if k.Default != "" {
		doc += " Default: " + k.Default + "."
	}
	if ref, ok := f["$ref"]; ok {
		f = fragment{"$ref": ref} // a keyword beside it is allowed since 2019-09
	}
	f["description"] = doc
	return f
}

// group refers to the definition of a group of constructs.
func (s *schemas) group(name string) fragment {
	id := strings.ReplaceAll(name, " ", "_")
	ref := fragment{"$ref": "#/$defs/" + id}
	if _, done := s.defs[id]; done {
		return ref
	}
	s.defs[id] = fragment{} // it may refer to itself
	var members []*Kind
	for _, k := range s.kinds {
		if k.Group == name {
			members = append(members, k)
		}
	}
	switch {
	case len(members) == 0:
		s.unknown = append(s.unknown, fmt.Sprintf("the group %q", name))
	case len(members) == 1:
		s.defs[id] = s.object(members[0])
	default:
		s.defs[id] = s.oneOf(id, members)
	}
	return ref
}

// oneOf tells the constructs of a group apart: by their type: word, or by a key
// that only one of them has.
func (s *schemas) oneOf(id string, members []*Kind) fragment {
	var names []string
	var cases []fragment
	var rest *Kind
	typed := true
	for _, k := range members {
		own := id + "." + k.Name
		s.defs[own] = s.object(k)
		ref := fragment{"$ref": "#/$defs/" + own}
		switch at := k.key("type"); {
		case at != nil:
			names = append(names, k.Name)
			cases = append(cases, fragment{"if": fragment{"properties": fragment{"type": fragment{"const": k.Name}}, "required": []string{"type"}}, "then": ref})
		case k.key(k.Name) != nil:
			typed = false
			cases = append(cases, fragment{"if": fragment{"required": []string{k.Name}}, "then": ref})
		default:
			typed, rest = false, k
		}
	}
	if typed {
		return fragment{"type": "object", "required": []string{"type"}, "properties": fragment{"type": fragment{"enum": names, "description": "One of " + strings.Join(names, ", ") + "."}}, "allOf": cases}
	}
	if rest == nil {
		var refs []fragment
		for _, k := range members {
			refs = append(refs, fragment{"required": []string{k.Name}})
		}
		return fragment{"type": "object", "anyOf": refs, "allOf": cases}
	}
	// The one without a key of its own: where none of the others' keys is.
	var others []fragment
	for _, k := range members {
		if k != rest {
			others = append(others, fragment{"required": []string{k.Name}})
		}
	}
	cases = append(cases, fragment{"if": fragment{"not": fragment{"anyOf": others}}, "then": fragment{"$ref": "#/$defs/" + id + "." + rest.Name}})
	return fragment{"type": "object", "allOf": cases}
}

// object is one construct: its keys and no others.
func (s *schemas) object(k *Kind) fragment {
	properties, required := fragment{}, []string{}
	var either []fragment
	for _, key := range k.Keys {
		properties[key.Name] = s.value(k, key)
		switch {
		case key.Required && key.Unless != "":
			either = []fragment{{"required": []string{key.Name}}, {"required": []string{key.Unless}}}
		case key.Required:
			required = append(required, key.Name)
		}
	}
	f := fragment{"type": "object", "description": k.Doc, "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		f["required"] = required
	}
	if either != nil {
		f["anyOf"] = either
	}
	if k.Group == "pipeline" {
		f["patternProperties"] = fragment{"^x-": fragment{}}
	}
	return f
}

// columnType is the type of a column: a word, a list of one, or nested columns.
func (s *schemas) columnType() fragment {
	ref := fragment{"$ref": "#/$defs/column_type"}
	if s.defs["column_type"] == nil {
		words := []string{"string", "int", "double", "bool", "timestamp", "timestamp(s)", "timestamp(ms)", "timestamp(us)", "timestamp(ns)", "bytes", "any"}
		s.defs["column_type"] = anyOf(choice(words...), fragment{"type": "array", "minItems": 1, "maxItems": 1, "items": anyOf(ref, fragment{})}, mapping(ref))
	}
	return ref
}
