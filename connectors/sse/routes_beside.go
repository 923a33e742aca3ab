package sse

import "net/http"

// beside are the routes of others on the same address, so that one document has
// the whole API: what the gate of connectors/sse/access answers, and web push.
// Where the config has neither they are not there (404). A test of cmd/leat holds
// them against those who serve them.
var beside = []route{
	{
		pattern: "GET /auth/me", id: "whoAmI", summary: "Who asks, as the server knows them",
		answers: []reply{{200, "Name, claims and when they end.", []string{jsonType}, "Me"}, noAuth, noKeys},
	},
	{
		pattern: "GET /auth/login", id: "signInPage", summary: "The page on which people sign in",
		params:  []param{{name: "next", doc: "Where to go on to: a path of this server."}},
		answers: []reply{{200, "A page that works without scripts.", []string{"text/html"}, ""}, noAuth},
	},
	{
		pattern: "POST /auth/session", id: "signIn", summary: "A bearer token for a session cookie", body: "Token", spared: true,
		doc:     "The token stands in the Authorization header, or in the body.",
		answers: []reply{{200, "Whose session it is; the cookie is set.", []string{jsonType}, "Me"}, noSuchBody, noAuth, tooLong, noKeys},
	},
	{
		pattern: "DELETE /auth/session", id: "signOut", summary: "The end of a session",
		answers: []reply{{204, "The cookie is taken away.", nil, ""}, noAuth},
	},
	{
		pattern: "POST /auth/ticket", id: "makeTicket", summary: "A ticket for clients that can send neither header nor cookie", body: "TicketFor", spared: true,
		doc:     "It lets one request in, at the path named, within seconds: ?ticket=.",
		params:  []param{{name: "path", example: "/live/orders/products", doc: "In place of the body: what the ticket is for."}},
		answers: []reply{{200, "The ticket.", []string{jsonType}, "Ticket"}, {http.StatusBadRequest, "No path is named that tickets are for.", []string{jsonType}, "Error"}, noAuth, tooLong, noKeys},
	},
	{
		pattern: "GET /v1/push/key", id: "pushKey", summary: "The public key that browsers subscribe to web push with",
		params:  []param{{name: "pipeline", doc: "Tell the sinks of this pipeline that whoever asks may have the alerts of, too."}},
		answers: []reply{{200, "The key, as applicationServerKey takes it.", []string{jsonType}, "PushKey"}, noPush},
	},
	{
		pattern: "POST /v1/push/subscriptions", id: "subscribe", summary: "Alerts to this browser", body: "PushSubscription",
		answers: []reply{{200, "They will come.", []string{jsonType}, "Nothing"}, badSubscription, noPush, busy},
	},
	{
		pattern: "DELETE /v1/push/subscriptions", id: "unsubscribe", summary: "No more alerts to this browser", body: "PushEndpoint",
		answers: []reply{{200, "They will not come any more.", []string{jsonType}, "Nothing"}, badSubscription, noPush, busy},
	},
}

var (
	noAuth          = reply{http.StatusNotFound, "Nobody signs in here: the server's config has no auth.", []string{jsonType, "text/plain"}, "Error"}
	noKeys          = reply{http.StatusServiceUnavailable, "The keys of the identity provider cannot be read now.", []string{jsonType}, "Error"}
	noSuchBody      = reply{http.StatusBadRequest, "The body is not what is wanted.", []string{jsonType}, "Error"}
	tooLong         = reply{http.StatusUnprocessableEntity, "The token's claims are too long.", []string{jsonType}, "Error"}
	noPush          = reply{http.StatusNotFound, "Nothing is pushed here, or not of this pipeline.", []string{jsonType, "text/plain"}, "Error"}
	badSubscription = reply{http.StatusBadRequest, "The subscription is none, or one that nothing can be sent to.", []string{jsonType}, "Error"}
	busy            = reply{http.StatusServiceUnavailable, "It cannot be kept now; Retry-After says when to ask again.", []string{jsonType}, "Error"}
)

// besideSchemas are those of beside.
var besideSchemas = object{
	"Me":        fields([]string{"name", "claims", "expires"}, object{"name": textSchema, "claims": object{"type": []string{"object", "null"}}, "expires": maybe("date-time")}),
	"Token":     fields([]string{}, object{"token": textSchema}),
	"TicketFor": fields([]string{}, object{"path": textSchema}),
	"Ticket":    fields([]string{"ticket", "expires"}, object{"ticket": textSchema, "expires": object{"type": "string", "format": "date-time"}}),
	"PushKey":   fields([]string{"key"}, object{"key": textSchema, "sinks": listOf(textSchema)}),
	"Nothing":   object{"type": "object"},
	"PushEndpoint": fields([]string{"pipeline", "subscription"}, object{"pipeline": textSchema, "sink": textSchema,
		"subscription": fields([]string{"endpoint"}, object{"endpoint": textSchema})}),
	"PushSubscription": fields([]string{"pipeline", "subscription"}, object{"pipeline": textSchema, "sink": textSchema,
		"subscription": fields([]string{"endpoint", "keys"}, object{"endpoint": textSchema, "keys": fields([]string{"p256dh", "auth"}, object{"p256dh": textSchema, "auth": textSchema})})}),
}

func maybe(format string) object {
	return object{"type": []string{"string", "null"}, "format": format}
}
