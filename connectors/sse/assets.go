package sse

import (
	"embed"
	"hash/fnv"
	"io/fs"
	"net/http"
	"path"
	"strconv"
)

//go:embed web
var web embed.FS

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
}

// servePage gives one of the page's documents.
func servePage(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, name) }
}

func serveAsset(w http.ResponseWriter, r *http.Request) { serveFile(w, r, r.PathValue("file")) }

// serveFile gives an embedded file. It is asked for again each time and
// answered by 304 while it is the same, so that a new version shows at once.
func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	kind, ok := contentTypes[path.Ext(name)]
	body, err := fs.ReadFile(web, path.Join("web", path.Clean("/"+name)))
	if err != nil || !ok {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
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
