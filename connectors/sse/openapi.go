package sse

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The API is described once, in the table of routes (routes.go): what a path
// takes, what it answers. GET /v1/openapi.json is made of it, and the handlers
// read their parameters by it, so that neither can say what the other does not.

// route is one path of the API.
type route struct {
	pattern string // as http.ServeMux has it
	id      string // operationId
	summary string
	doc     string
	params  []param
	body    string // schema of the request's JSON body; "": none
	spared  bool   // the body may be left out
	answers []reply
	stream  bool // never ends by itself
}

// reply is one of a route's answers.
type reply struct {
	status int
	doc    string
	types  []string // media types; none: no body
	schema string   // of the JSON one
}

// param is one parameter of a path. The zero kind is text.
type param struct {
	name     string
	kind     kind
	many     bool // may be given several times
	required bool
	enum     []string
	min, max float64 // of numbers; both 0: unbounded
	initial  string  // what absence means, as it would be written
	doc      string
	example  string
}

// kind is how a parameter's text is read.
type kind uint8

const (
	texts    kind = iota
	integers      // decimal
	numbers       // decimal, with a fraction
	instants      // epoch ms, or RFC 3339
)

// args are a request's parameters as its route reads them.
type args struct {
	route  *route
	values url.Values
	whole  map[string]int64 // of integers and instants
	real   map[string]float64
}

// badParam says which parameter is wrong.
type badParam struct{ name, text string }

// Error is what the asker reads.
func (e *badParam) Error() string { return e.text }

func bad(name, format string, a ...any) *badParam {
	return &badParam{name, name + ": " + fmt.Sprintf(format, a...)}
}

// refuseParam answers 400 and names the parameter.
func refuseParam(w http.ResponseWriter, e *badParam) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	b, _ := json.Marshal(struct { // texts: cannot fail
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Parameter string `json:"parameter"`
	}{http.StatusBadRequest, e.text, e.name})
	_, _ = w.Write(append(b, '\n'))
}

// read takes a request's query apart. A name that the route does not know is
// a mistake: a filter that is silently not applied shows too much.
func (rt *route) read(r *http.Request) (args, *badParam) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return args{}, bad("query", "%v", err)
	}
	a := args{rt, values, map[string]int64{}, map[string]float64{}}
	for name, given := range values {
		i := slices.IndexFunc(rt.params, func(p param) bool { return p.name == name })
		if i < 0 {
			return args{}, bad(name, "there is no such parameter; there are: %s", strings.Join(rt.names(), ", "))
		}
		p := &rt.params[i]
		if len(given) > 1 && !p.many {
			return args{}, bad(name, "given %d times", len(given))
		}
		for _, text := range given {
			if e := a.take(p, text); e != nil {
				return args{}, e
			}
		}
	}
	for _, p := range rt.params {
		if p.required && !a.has(p.name) {
			return args{}, bad(p.name, "missing")
		}
		if p.initial != "" && !a.has(p.name) {
			if e := a.take(&p, p.initial); e != nil {
				return args{}, e
			}
		}
	}
	return a, nil
}

// some reads only the parameters named.
func (rt *route) some(r *http.Request, names ...string) (args, *badParam) {
	only := *rt
	only.params = slices.DeleteFunc(slices.Clone(rt.params), func(p param) bool { return !slices.Contains(names, p.name) })
	values := r.URL.Query()
	for name := range values {
		if !slices.Contains(names, name) {
			values.Del(name)
		}
	}
	return only.read(&http.Request{URL: &url.URL{RawQuery: values.Encode()}})
}

func (rt *route) names() []string {
	var names []string
	for _, p := range rt.params {
		names = append(names, p.name)
	}
	return names
}

// take checks one value and keeps it.
func (a *args) take(p *param, text string) *badParam {
	if strings.ContainsRune(text, 0) {
		return bad(p.name, "a NUL has no place in it")
	}
	if len(p.enum) > 0 && !slices.Contains(p.enum, text) {
		return bad(p.name, "%q is none of %s", text, strings.Join(p.enum, ", "))
	}
	switch p.kind {
	case integers:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad(p.name, "%q is no whole number", text)
		}
		if !p.fits(float64(n)) {
			return bad(p.name, "%s is not within %g to %g", text, p.min, p.max)
		}
		a.whole[p.name] = n
	case numbers:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return bad(p.name, "%q is no number", text)
		}
		if !p.fits(f) {
			return bad(p.name, "%s is not within %g to %g", text, p.min, p.max)
		}
		a.real[p.name] = f
	case instants:
		ms, err := parseInstant(text)
		if err != nil {
			return bad(p.name, "%v", err)
		}
		a.whole[p.name] = ms
	}
	return nil
}

func (p *param) fits(n float64) bool { return p.min == p.max || n >= p.min && n <= p.max }

func (a args) has(name string) bool    { return a.values.Has(name) }
func (a args) text(name string) string { return a.values.Get(name) }

// parseInstant reads epoch milliseconds or RFC 3339. A plus that a browser
// turned into a space is taken for one.
func parseInstant(text string) (ms int64, err error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	if err != nil {
		return 0, fmt.Errorf("%q is no time: write epoch milliseconds, or RFC 3339 as in 2026-01-31T12:00:00Z", text)
	}
	return t.UnixMilli(), nil
}

// router remembers its patterns, so that a test can hold the table of routes
// against them.
type router struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc is ServeMux's.
func (m *router) HandleFunc(pattern string, serve func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, serve)
}

// routeOf finds a route in the table; one that is not there is a mistake of
// the program.
func routeOf(pattern string) *route {
	for i := range routes {
		if routes[i].pattern == pattern {
			return &routes[i]
		}
	}
	panic("no route " + pattern)
}

// object is a JSON object of the document.
type object = map[string]any

// openAPI is the description of everything the hub answers.
func openAPI() []byte {
	paths := object{}
	for _, rt := range slices.Concat(routes, beside) {
		method, path, _ := strings.Cut(rt.pattern, " ")
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = rt.operation(path)
	}
	all := maps.Clone(schemas)
	maps.Copy(all, besideSchemas)
	doc, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "leat", "version": "1",
			"description": "Live views of stream processing pipelines: rows now, as they change, and as they were.",
		},
		"servers":    []object{{"url": "/"}},
		"paths":      paths,
		"components": object{"schemas": all, "securitySchemes": securitySchemes},
		"security":   []object{{}, {"bearer": []string{}}, {"session": []string{}}},
	}, "", " ")
	if err != nil {
		panic(err) // the table is ours
	}
	return append(doc, '\n')
}

func (rt *route) operation(path string) object {
	var params []object
	for rest := path; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			break
		}
		var name string
		name, rest, _ = strings.Cut(after, "}")
		params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range rt.params {
		params = append(params, p.describe())
	}
	answers := object{}
	for _, a := range slices.Concat(rt.answers, everywhere) {
		one := object{"description": a.doc}
		content := object{}
		for _, t := range a.types {
			schema := object{"type": "string"}
			if a.schema != "" && strings.HasSuffix(t, "json") {
				schema = object{"$ref": "#/components/schemas/" + a.schema}
			}
			content[t] = object{"schema": schema}
			if t == streamType {
				content[t] = object{} // events are no text to a schema: docs/protocol.md
			}
		}
		if len(content) > 0 {
			one["content"] = content
		}
		answers[strconv.Itoa(a.status)] = one
	}
	op := object{"operationId": rt.id, "summary": rt.summary, "responses": answers}
	if rt.doc != "" {
		op["description"] = rt.doc
	}
	if params != nil {
		op["parameters"] = params
	}
	if rt.body != "" {
		op["requestBody"] = object{"required": !rt.spared, "content": object{"application/json": object{
			"schema": object{"$ref": "#/components/schemas/" + rt.body}}}}
	}
	if rt.stream {
		op["x-stream"] = true
	}
	return op
}

func (p *param) describe() object {
	schema := object{"type": "string"}
	switch p.kind {
	case integers:
		schema = object{"type": "integer", "format": "int64"}
	case numbers:
		schema = object{"type": "number"}
	case instants:
		schema = object{"anyOf": []object{{"type": "integer", "format": "int64"}, {"type": "string", "format": "date-time"}}}
	}
	if len(p.enum) > 0 {
		schema["enum"] = p.enum
	}
	if p.min != p.max {
		schema["minimum"], schema["maximum"] = p.min, p.max
	}
	if p.initial != "" {
		schema["default"] = json.RawMessage(p.initial)
		if p.kind == texts {
			schema["default"] = p.initial
		}
	}
	if p.many {
		schema = object{"type": "array", "items": schema}
	}
	d := object{"name": p.name, "in": "query", "description": p.doc, "schema": schema}
	if p.required {
		d["required"] = true
	}
	if p.many {
		d["style"], d["explode"] = "form", true
	}
	if p.example != "" {
		d["example"] = p.example
		if p.many {
			d["example"] = []string{p.example}
		}
	}
	return d
}

// document is made once: the table does not change.
var document = openAPI()

func (h *Hub) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document)
}
