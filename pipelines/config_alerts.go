package pipelines

import (
	"time"

	"github.com/leatstream/leat/connectors/webhook"
)

// Alerts is how alerts are sent.
type Alerts struct {
	Client webhook.ClientConfig
	Push   Push
}

// Push is who we are to the push services of browsers.
type Push struct {
	Subject    string // mailto: or https:, whom a push service can ask
	PrivateKey string // as leat vapid prints it; "": there is no web push
}

// alertKinds are the part of configKinds that is about alerts.
var alertKinds = []*Kind{
	{Group: "alerts", Doc: "How alerts are sent. docs/how-to/alerts.md explains it.", Keys: []Key{
		{Name: "allow", Type: "list of networks", Doc: "Networks and addresses beside the public internet that alerts may be posted to: `[10.20.0.0/16, 127.0.0.1]`. They are compared with what is dialled, after names were resolved."},
		{Name: "proxy", Type: "address", Doc: "An HTTP proxy, `http://proxy.example.org:3128`: it resolves names, and has to refuse what must not be reached. The variables HTTP_PROXY and HTTPS_PROXY are not read."},
		{Name: "ca_file", Type: "path", Doc: "PEM file of authorities to trust beside the system's."},
		{Name: "timeout", Type: "duration", Default: "10s", Doc: "How long one attempt may take."},
		{Name: "push", Type: "push", Group: "push", Doc: "Web push. Without it, web_push alerts wait in their outbox."},
	}},
	{Group: "push", Doc: "Who we are to the push services of browsers. `leat vapid` makes a key.", Keys: []Key{
		{Name: "private_key", Type: "text", Required: true, Doc: "`${file:/run/secrets/leat-vapid}`. The same on each node, and for good: a browser's subscription is bound to it."},
		{Name: "subject", Type: "text", Required: true, Doc: "Whom a push service can ask: `mailto:ops@example.org`, or an https address."},
	}},
}

func (l *loader) alerts(n *node, c *Alerts) {
	f := l.fields(n, configKind("alerts"))
	if f == nil {
		return
	}
	defer f.done()
	for _, item := range l.list(f.get("allow"), "allow") {
		text, ok := l.text(item)
		if !ok {
			continue
		}
		p, err := webhook.ParseAllow(text)
		if err != nil {
			l.fail(item, "value", "", "%s", err)
			continue
		}
		c.Client.Guard.Allow = append(c.Client.Guard.Allow, p)
	}
	c.Client.Proxy, c.Client.CAFile = l.optional(f.get("proxy")), l.optional(f.get("ca_file"))
	if v := f.get("timeout"); v != nil {
		c.Client.Timeout, _ = l.duration(v, time.Millisecond)
	}
	if p := l.fields(f.get("push"), configKind("push")); p != nil {
		c.Push.PrivateKey, c.Push.Subject = l.optional(p.get("private_key")), l.optional(p.get("subject"))
		p.done()
	}
}
