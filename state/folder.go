package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A state folder:
//
//	lock              held while a process uses the folder
//	pid               of that process, for people
//	identity          format version; worker and cluster it belongs to
//	db/               Pebble
//	corrupt-<time>/   a db/ that was set aside; one is kept
const (
	folderFormat = "leat state 1"
	dbFolder     = "db"
	corruptName  = "corrupt-"
)

// folder is a locked state folder.
type folder struct {
	fs   vfs.FS
	dir  string
	lock io.Closer
}

func openFolder(fs vfs.FS, dir string) (*folder, error) {
	if fs == nil {
		fs = private{vfs.Default}
	}
	if err := makeFolder(fs, dir); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	f := &folder{fs: fs, dir: dir}
	lock, err := fs.Lock(f.path("lock"))
	if err != nil {
		if pid, _ := f.read("pid"); pid != "" {
			return nil, fmt.Errorf("state folder %s is %w by pid %s", dir, ErrInUse, strings.TrimSpace(pid))
		}
		return nil, fmt.Errorf("state folder %s is %w: %w", dir, ErrInUse, err)
	}
	f.lock = lock
	if err := f.write("pid", strconv.Itoa(os.Getpid())+"\n"); err != nil {
		f.close()
		return nil, fmt.Errorf("write pid of state folder: %w", err)
	}
	return f, nil
}

// makeFolder makes a folder that is still there after a power failure: its
// entry lies in the folder above.
func makeFolder(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncFolder(fs, fs.PathDir(dir))
}

func syncFolder(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *folder) close() error { return f.lock.Close() }

func (f *folder) path(name string) string { return f.fs.PathJoin(f.dir, name) }

// identify refuses a folder of another worker or cluster, and names a new one.
func (f *folder) identify(identity string) error {
	want := folderFormat + "\n" + identity + "\n"
	have, err := f.read("identity")
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := f.write("identity", want); err != nil {
			return fmt.Errorf("write identity of state folder: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read identity of state folder: %w", err)
	case have != want:
		return fmt.Errorf("state folder %s is %w: %q, not %q", f.dir, ErrOtherIdentity, have, want)
	}
	return nil
}

func (f *folder) read(name string) (string, error) {
	file, err := f.fs.Open(f.path(name))
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

// write replaces a file so that a crash leaves the old or the new one.
func (f *folder) write(name, text string) error {
	temp := f.path(name + ".new")
	file, err := f.fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(text))
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := f.fs.Rename(temp, f.path(name)); err != nil {
		return err
	}
	return syncFolder(f.fs, f.dir)
}

// SetAside moves the database of a damaged folder out of the way, to
// corrupt-<time> beside it, and removes what was set aside before. The DB must
// be closed. The worker calls it when Open or a DB's method gives ErrDamaged.
func SetAside(dir string) error { return setAside(nil, dir) }

func setAside(fs vfs.FS, dir string) (err error) {
	f, err := openFolder(fs, dir)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	defer func() { err = errors.Join(err, f.close()) }()
	names, err := f.fs.List(dir)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	to := corruptName + time.Now().UTC().Format("20060102T150405.000000000Z")
	for _, name := range names {
		if strings.HasPrefix(name, corruptName) {
			if err := f.fs.RemoveAll(f.path(name)); err != nil {
				return fmt.Errorf("set aside: remove %s: %w", name, err)
			}
		}
	}
	if err := f.fs.Rename(f.path(dbFolder), f.path(to)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set aside: %w", err)
	}
	return nil
}

// private makes files and folders that only their owner can read.
type private struct{ vfs.FS }

func (p private) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := p.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return f, closeOn(f, os.Chmod(name, 0o600))
}

func (p private) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := p.FS.ReuseForWrite(from, to, c)
	if err != nil {
		return nil, err
	}
	return f, closeOn(f, os.Chmod(to, 0o600))
}

func (p private) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := p.FS.OpenReadWrite(name, c, o...)
	if err != nil {
		return nil, err
	}
	return f, closeOn(f, os.Chmod(name, 0o600))
}

func (p private) MkdirAll(dir string, _ os.FileMode) error { return p.FS.MkdirAll(dir, 0o700) }

func (p private) Lock(name string) (io.Closer, error) {
	l, err := p.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	return l, closeOn(l, os.Chmod(name, 0o600))
}

func closeOn(c io.Closer, err error) error {
	if err != nil {
		c.Close()
	}
	return err
}

// Unwrap is part of vfs.FS.
func (p private) Unwrap() vfs.FS { return p.FS }
