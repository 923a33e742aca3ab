package sse

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"sync"
	"text/template"
)

//go:embed web
var web embed.FS

var contentTypes = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
}

// documentOf gives one of the documents: the skeleton that all share, with
// what web/<name>.html defines in it.
func documentOf(name string) ([]byte, error) {
	t, err := template.ParseFS(web, "web/skeleton.html", "web/"+name+".html")
	if err != nil {
		return nil, fmt.Errorf("read the page %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "skeleton.html", nil); err != nil {
		return nil, fmt.Errorf("make the page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// servePage gives one of the documents: index, dashboard or ops.
func servePage(name string) http.HandlerFunc {
	once := sync.OnceValues(func() ([]byte, error) { return documentOf(name) })
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := once()
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		give(w, r, "text/html; charset=utf-8", body)
	}
}

// serveAsset gives an embedded file.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind, ok := contentTypes[path.Ext(name)]
	body, err := fs.ReadFile(web, path.Join("web", path.Clean("/"+name)))
	if err != nil || !ok {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
	give(w, r, kind, body)
}

// give answers with a file. It is asked for again each time and answered by
// 304 while it is the same, so that a new version shows at once.
func give(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	sum := fnv.New64a()
	_, _ = sum.Write(body)
	tag := `"` + strconv.FormatUint(sum.Sum64(), 36) + `"`
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}
