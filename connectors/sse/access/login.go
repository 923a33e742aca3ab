package access

import (
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed login.html
var loginHTML string

var loginPage = template.Must(template.New("login").Parse(loginHTML))

// loginPolicy is stricter than that of the dashboards: no script at all, and
// the form goes to ourselves only.
const loginPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (g *Gate) serveLogin(w http.ResponseWriter, r *http.Request) {
	g.showLogin(w, r, http.StatusOK, "")
}

// showLogin writes the sign-in page; it works without a script.
func (g *Gate) showLogin(w http.ResponseWriter, r *http.Request, status int, mistake string) {
	next := r.FormValue("next") // of the query, or of the form that failed
	data := struct{ Name, Next, Mistake string }{Next: local(next), Mistake: mistake}
	if v, err := g.viewer(r); err == nil && v != nil {
		data.Name = v.Name
	}
	header := w.Header()
	header.Set("Content-Security-Policy", loginPolicy)
	// With no-referrer a form would send "Origin: null", as any stranger's does.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := loginPage.Execute(w, data); err != nil {
		g.opts.Log.Debug("write the sign-in page", "err", err)
	}
}
