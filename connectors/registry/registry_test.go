package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// fake is as much of a schema registry as the client asks for. It checks
// compatibility as codec.Compatible does.
type fake struct {
	mu       sync.Mutex
	subjects map[string][]fakeSchema
	asked    []string // method and path of each request
	broken   int      // the status that all requests get, if not 0
	user     string
}

type fakeSchema struct {
	ID         int    `json:"id"`
	Version    int    `json:"version"`
	Subject    string `json:"subject"`
	Schema     string `json:"schema"`
	Type       string `json:"schemaType,omitempty"`
	References []struct {
		Name    string `json:"name"`
		Subject string `json:"subject"`
		Version int    `json:"version"`
	} `json:"references,omitempty"`
}

func (s fakeSchema) codec() codec.Schema {
	return codec.Schema{Format: map[string]string{"": "avro", "AVRO": "avro", "PROTOBUF": "protobuf"}[s.Type], Text: s.Schema}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	answer := func(status int, v any) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	wrong := func(status, code int, text string) {
		answer(status, map[string]any{"error_code": code, "message": text})
	}
	if f.broken != 0 {
		wrong(f.broken, 50001, "broken")
		return
	}
	if user, _, _ := r.BasicAuth(); user != f.user {
		wrong(401, 40101, "who are you")
		return
	}
	var given fakeSchema
	if r.Method == http.MethodPost {
		json.NewDecoder(r.Body).Decode(&given)
	}
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(part) == 3 && part[0] == "schemas":
		for _, all := range f.subjects {
			for _, s := range all {
				if fmt.Sprint(s.ID) == part[2] {
					answer(200, s)
					return
				}
			}
		}
		wrong(404, 40403, "Schema not found")
	case len(part) == 4 && part[0] == "subjects": // its versions
		all := f.subjects[part[1]]
		for _, s := range all {
			if fmt.Sprint(s.Version) == part[3] || part[3] == "latest" && s.Version == len(all) {
				answer(200, s)
				return
			}
		}
		if len(all) == 0 {
			wrong(404, 40401, "Subject not found")
			return
		}
		wrong(404, 40402, "Version not found")
	case len(part) == 2 && part[0] == "subjects": // is it there
		all, ok := f.subjects[part[1]]
		for _, s := range all {
			if s.Schema == given.Schema {
				answer(200, s)
				return
			}
		}
		if !ok {
			wrong(404, 40401, "Subject not found")
			return
		}
		wrong(404, 40403, "Schema not found")
	case part[0] == "compatibility":
		all := f.subjects[part[2]]
		if len(all) == 0 {
			wrong(404, 40402, "Version not found")
			return
		}
		if err := codec.Compatible(all[len(all)-1].codec(), given.codec()); err != nil {
			answer(200, map[string]any{"is_compatible": false, "messages": []string{err.Error()}})
			return
		}
		answer(200, map[string]any{"is_compatible": true})
	case len(part) == 3 && part[0] == "subjects": // register
		if given.Schema == "refused" {
			wrong(409, 409, "Schema being registered is incompatible")
			return
		}
		given.Subject, given.Version, given.ID = part[1], len(f.subjects[part[1]])+1, f.next()
		f.subjects[part[1]] = append(f.subjects[part[1]], given)
		answer(200, given)
	default:
		wrong(404, 404, "HTTP 404 Not Found")
	}
}

func (f *fake) next() int {
	n := 1
	for _, all := range f.subjects {
		n += len(all)
	}
	return n
}

// start runs a fake registry and makes its client.
func start(t *testing.T, cfg Config) (*fake, *Client) {
	t.Helper()
	f := &fake{subjects: map[string][]fakeSchema{}, user: cfg.User}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg.URLs = append(cfg.URLs, server.URL)
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

var (
	one   = codec.Schema{Format: "avro", Text: `{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}`}
	two   = codec.Schema{Format: "avro", Text: `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"n","type":"int","default":0}]}`}
	wrong = codec.Schema{Format: "avro", Text: `{"type":"record","name":"R","fields":[{"name":"id","type":"int"}]}`}
	proto = codec.Schema{Format: "protobuf", Text: "syntax = \"proto3\";\nmessage M { string id = 1; }\n"}
)

// Both registries register, refuse and find alike.
func TestRegistries(t *testing.T) {
	_, client := start(t, Config{User: "ann", Password: "secret"})
	folder, err := OpenFolder(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Registry{"client": client, "folder": folder} {
		t.Run(name, func(t *testing.T) {
			if _, err := r.Latest("orders-value"); !errors.Is(err, codec.ErrUnknownSchema) {
				t.Errorf("a subject that is not there: %v", err)
			}
			if err := r.Check("orders-value", one); err != nil {
				t.Errorf("a subject's first schema: %v", err)
			}
			id, err := r.Register("orders-value", one)
			if err != nil || id != 1 {
				t.Fatalf("register: %d, %v", id, err)
			}
			if id, err := r.Register("orders-value", one); err != nil || id != 1 {
				t.Errorf("register again: %d, %v", id, err)
			}
			if err := r.Check("orders-value", wrong); !errors.Is(err, codec.ErrIncompatible) {
				t.Errorf("check another type: %v", err)
			}
			if _, err := r.Register("orders-value", wrong); !errors.Is(err, codec.ErrIncompatible) {
				t.Errorf("register another type: %v", err)
			}
			if id, err := r.Register("orders-value", two); err != nil || id != 2 {
				t.Errorf("register the next: %d, %v", id, err)
			}
			if id, err := r.Register("users-value", proto); err != nil || id != 3 {
				t.Errorf("register protobuf: %d, %v", id, err)
			}
			for id, want := range map[int]codec.Schema{1: one, 2: two, 3: proto} {
				if s, err := r.ByID(id); err != nil || s.Text != want.Text || s.Format != want.Format || s.ID != id {
					t.Errorf("schema %d: %+v, %v", id, s, err)
				}
			}
			s, err := r.Latest("orders-value")
			if err != nil || s.Text != two.Text || s.ID != 2 || s.Version != 2 || s.Subject != "orders-value" {
				t.Errorf("latest: %+v, %v", s, err)
			}
			for _, id := range []int{0, -1, 9} {
				if _, err := r.ByID(id); !errors.Is(err, codec.ErrUnknownSchema) {
					t.Errorf("schema %d: %v", id, err)
				}
			}
		})
	}
}

// An id is asked for once; that it is unknown is believed for a while.
func TestClientKeeps(t *testing.T) {
	f, c := start(t, Config{})
	now := time.UnixMilli(0)
	c.now = func() time.Time { return now }
	f.subjects["s"] = []fakeSchema{{ID: 7, Version: 1, Schema: one.Text}}
	for range 3 {
		if _, err := c.ByID(7); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ByID(8); !errors.Is(err, codec.ErrUnknownSchema) {
			t.Fatal(err)
		}
	}
	if want := []string{"GET /schemas/ids/7", "GET /schemas/ids/8"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked %q", f.asked)
	}
	f.subjects["s"] = append(f.subjects["s"], fakeSchema{ID: 8, Version: 2, Schema: two.Text})
	now = now.Add(unknownFor)
	if s, err := c.ByID(8); err != nil || s.Text != two.Text {
		t.Errorf("registered meanwhile: %+v, %v", s, err)
	}
}

// A registry in trouble is nobody else's fault: neither an unknown schema nor
// an incompatible one, and it is asked again.
func TestClientTrouble(t *testing.T) {
	f, c := start(t, Config{})
	f.subjects["s"] = []fakeSchema{{ID: 7, Version: 1, Schema: one.Text}}
	for _, status := range []int{500, 503, 404} {
		f.broken = status
		_, byID := c.ByID(7)
		_, latest := c.Latest("s")
		for _, err := range []error{byID, latest, c.Check("s", two)} {
			if err == nil || errors.Is(err, codec.ErrUnknownSchema) || errors.Is(err, codec.ErrIncompatible) {
				t.Errorf("HTTP %d: %v", status, err)
			}
		}
	}
	f.broken = 403
	if _, err := c.ByID(7); engine.KindOf(err) != engine.Environment {
		t.Errorf("no rights: %v", err)
	}
	f.broken = 0
	if _, err := c.ByID(7); err != nil {
		t.Error(err)
	}
	f.user = "ann"
	if _, err := c.Latest("s"); engine.KindOf(err) != engine.Environment {
		t.Errorf("no password: %v", err)
	}
	if _, err := c.Register("new", codec.Schema{Format: "avro", Text: "refused"}); err == nil {
		t.Error("registered without a password")
	}
	f.user = ""
	if _, err := c.Register("new", codec.Schema{Format: "avro", Text: "refused"}); !errors.Is(err, codec.ErrIncompatible) {
		t.Errorf("refused at last: %v", err)
	}
	if _, err := c.Register("new", codec.Schema{Format: "json", Text: "{}"}); err == nil {
		t.Error("json was registered")
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	nobody, err := Open(Config{URLs: []string{gone.URL}, Password: "secret", User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.ByID(7); err == nil || errors.Is(err, codec.ErrUnknownSchema) || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("opened without a url")
	}
}

// The next URL is asked where one is not there.
func TestClientSecondURL(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	f, c := start(t, Config{URLs: []string{gone.URL}})
	f.subjects["s"] = []fakeSchema{{ID: 7, Version: 1, Schema: one.Text}}
	if _, err := c.ByID(7); err != nil {
		t.Error(err)
	}
}

// Schemas that one refers to come with it, each after those it needs, and a
// circle ends.
func TestClientReferences(t *testing.T) {
	f, c := start(t, Config{})
	var order, money, unit fakeSchema
	for text, to := range map[string]*fakeSchema{
		`{"id":1,"version":1,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\"; import \"money.proto\"; message Order { Money price = 1; }","references":[{"name":"money.proto","subject":"money","version":1}]}`:             &order,
		`{"id":2,"version":1,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\"; import \"unit.proto\"; message Money { int64 cents = 1; Unit unit = 2; }","references":[{"name":"unit.proto","subject":"unit","version":1}]}`: &money,
		`{"id":3,"version":1,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\"; message Unit { string name = 1; }","references":[{"name":"money.proto","subject":"money","version":1}]}`:                                      &unit,
	} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	f.subjects = map[string][]fakeSchema{"order": {order}, "money": {money}, "unit": {unit}}
	s, err := c.ByID(1)
	if err != nil || len(s.Imports) != 2 || s.Imports[0].Name != "unit.proto" || s.Imports[1].Name != "money.proto" {
		t.Fatalf("%+v, %v", s, err)
	}
	cols, err := codec.ColumnsOf(s, "")
	if err != nil || len(cols) != 2 || cols[0].Name != "price.cents" || cols[1].Name != "price.unit.name" {
		t.Errorf("%+v, %v", cols, err)
	}
	if id, err := c.Register("order2", s); err != nil || id == 0 || len(f.subjects["order2"][0].References) != 2 {
		t.Errorf("%d, %v, %+v", id, err, f.subjects["order2"])
	}
}

// A folder's files are subjects; ids count up by name, or are those of ids.json.
func TestFolder(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	dir := fstest.MapFS{
		"orders-value@2.avsc": file(two.Text), "orders-value@1.avsc": file(one.Text), "a-value.avsc": file(one.Text),
		"users-value.proto":  file(`syntax = "proto3"; import "common/money.proto"; message User { common.Money credit = 1; }`),
		"common/money.proto": file(`syntax = "proto3"; package common; message Money { int64 cents = 1; }`), "README.md": file("schemas"),
	}
	show := func(f *Folder) string {
		var out []string
		for id := 1; id < 50; id++ {
			if s, err := f.ByID(id); err == nil {
				out = append(out, fmt.Sprintf("%d %s@%d %s", id, s.Subject, s.Version, s.Format))
			}
		}
		return strings.Join(out, ", ")
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(f), "1 a-value@1 avro, 2 orders-value@1 avro, 3 orders-value@2 avro, 4 users-value@1 protobuf"; got != want {
		t.Errorf("got %s", got)
	}
	users, _ := f.Latest("users-value")
	if cols, err := codec.ColumnsOf(users, ""); err != nil || len(cols) != 1 || cols[0].Name != "credit.cents" {
		t.Errorf("%+v, %v", cols, err)
	}
	dir["ids.json"] = file(`{"orders-value@2.avsc": 42, "a-value.avsc": 2}`)
	if f, err = OpenFolder(dir); err != nil {
		t.Fatal(err)
	}
	if got, want := show(f), "1 orders-value@1 avro, 2 a-value@1 avro, 3 users-value@1 protobuf, 42 orders-value@2 avro"; got != want {
		t.Errorf("got %s", got)
	}
	for what, bad := range map[string]fstest.MapFS{
		"a version":        {"s@x.avsc": file(one.Text)},
		"the same version": {"s.avsc": file(one.Text), "s@1.avsc": file(one.Text)},
		"ids.json":         {"ids.json": file(`[]`)},
		"an id of nothing": {"ids.json": file(`{"s.avsc": 1}`)},
		"the same id":      {"s.avsc": file(one.Text), "u.avsc": file(one.Text), "ids.json": file(`{"s.avsc": 1, "u.avsc": 1}`)},
		"a large file":     {"s.avsc": file(strings.Repeat(" ", maxFile+1))},
	} {
		if _, err := OpenFolder(bad); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
