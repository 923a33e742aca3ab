package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/leatstream/leat/connectors/codec"
)

// Folder is a registry of files, for tests and for work without a network:
//
//	schemas/
//	  orders-value.avsc        subject orders-value, its only version
//	  users-value@1.proto      subject users-value
//	  users-value@2.proto      its newest
//	  common/money.proto       to import: "common/money.proto"
//	  ids.json                 {"orders-value.avsc": 42, …}; without it, and for
//	                           files that it does not name, ids count up from 1
//	                           in the order of subject and version
//
// An avro file stands for itself; a .proto may import any other of the folder.
// What is registered is checked and kept in memory; files are never written.
type Folder struct {
	mu      sync.Mutex
	schemas []codec.Schema // by subject and version
}

// maxFile is what a schema may have, as in the usual registries.
const maxFile = 1 << 20

// OpenFolder reads a folder, for example os.DirFS("schemas").
func OpenFolder(dir fs.FS) (*Folder, error) {
	f := &Folder{}
	ids := map[string]int{}
	protos := []codec.Import{}
	names := []string{}
	err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		ext := path.Ext(name)
		if err != nil || e.IsDir() || ext != ".avsc" && ext != ".proto" && name != "ids.json" {
			return err
		}
		if info, err := e.Info(); err != nil || info.Size() > maxFile {
			return cmp.Or(err, fmt.Errorf("%s is larger than %d bytes", name, maxFile))
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		if name == "ids.json" {
			if err := json.Unmarshal(text, &ids); err != nil {
				return fmt.Errorf("%s: want {\"file\": id}: %w", name, err)
			}
			return nil
		}
		if ext == ".proto" {
			protos = append(protos, codec.Import{Name: name, Text: string(text)})
		}
		if strings.Contains(name, "/") {
			return nil // only to import
		}
		s := codec.Schema{Format: map[string]string{".avsc": "avro", ".proto": "protobuf"}[ext], Text: string(text), Version: 1}
		s.Subject = strings.TrimSuffix(name, ext)
		if at := strings.LastIndexByte(s.Subject, '@'); at >= 0 {
			if s.Version, err = strconv.Atoi(s.Subject[at+1:]); err != nil || s.Version <= 0 {
				return fmt.Errorf("%s: want a version behind @, got %q", name, s.Subject[at+1:])
			}
			s.Subject = s.Subject[:at]
		}
		f.schemas, names = append(f.schemas, s), append(names, name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	return f, f.number(ids, names, protos)
}

// number gives ids and imports to the schemas, which have the names.
func (f *Folder) number(ids map[string]int, names []string, protos []codec.Import) error {
	used := map[int]bool{}
	for k := range f.schemas {
		s := &f.schemas[k]
		if s.Format == "protobuf" {
			s.Imports = slices.DeleteFunc(slices.Clone(protos), func(i codec.Import) bool { return i.Name == names[k] })
		}
		id, ok := ids[names[k]]
		delete(ids, names[k])
		if !ok {
			continue
		}
		if id <= 0 || used[id] {
			return fmt.Errorf("read schemas: ids.json: %s has id %d, which is not positive or is another's", names[k], id)
		}
		s.ID, used[id] = id, true
	}
	for name := range ids {
		return fmt.Errorf("read schemas: ids.json: there is no schema %s", name)
	}
	slices.SortStableFunc(f.schemas, func(a, b codec.Schema) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), a.Version-b.Version)
	})
	next := 1
	for k := range f.schemas {
		if s := &f.schemas[k]; s.ID == 0 {
			for used[next] {
				next++
			}
			s.ID, used[next] = next, true
		}
		if k > 0 && f.schemas[k].Subject == f.schemas[k-1].Subject && f.schemas[k].Version == f.schemas[k-1].Version {
			return fmt.Errorf("read schemas: subject %q has version %d twice", f.schemas[k].Subject, f.schemas[k].Version)
		}
	}
	return nil
}

// ByID gives the schema of an id.
func (f *Folder) ByID(id int) (codec.Schema, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.schemas {
		if s.ID == id {
			return s, nil
		}
	}
	return codec.Schema{}, codec.ErrUnknownSchema
}

// Latest gives a subject's newest schema.
func (f *Folder) Latest(subject string) (codec.Schema, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest(subject)
}

func (f *Folder) latest(subject string) (found codec.Schema, err error) {
	for _, s := range f.schemas {
		if s.Subject == subject && s.Version > found.Version {
			found = s
		}
	}
	if found.Version == 0 {
		return found, fmt.Errorf("subject %q: %w", subject, codec.ErrUnknownSchema)
	}
	return found, nil
}

// Check tells whether readers of the schema can read what was written with the
// subject's newest.
func (f *Folder) Check(subject string, s codec.Schema) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.check(subject, s)
	return err
}

// check gives the id that a schema has in a subject already, or 0.
func (f *Folder) check(subject string, s codec.Schema) (int, error) {
	for _, known := range f.schemas {
		if known.Subject == subject && known.Format == s.Format && known.Text == s.Text {
			return known.ID, nil
		}
	}
	previous, err := f.latest(subject)
	if errors.Is(err, codec.ErrUnknownSchema) {
		return 0, nil
	}
	if err := codec.Compatible(previous, s); err != nil {
		return 0, fmt.Errorf("check the schema of subject %q: %w", subject, err)
	}
	return 0, nil
}

// Register keeps the schema in memory, under the next id.
func (f *Folder) Register(subject string, s codec.Schema) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.check(subject, s)
	if err != nil || id > 0 {
		return id, err
	}
	previous, _ := f.latest(subject)
	s.Subject, s.Version, s.ID = subject, previous.Version+1, 1
	for _, known := range f.schemas {
		s.ID = max(s.ID, known.ID+1)
	}
	f.schemas = append(f.schemas, s)
	return s.ID, nil
}
