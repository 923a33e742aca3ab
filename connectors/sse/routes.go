package sse

import "net/http"

const (
	jsonType   = "application/json"
	csvType    = "text/csv"
	streamType = "text/event-stream"
)

// Answers that many routes share.
var (
	badRequest = reply{http.StatusBadRequest, "A parameter is wrong; the answer names it.", []string{jsonType}, "Error"}
	noSuchView = reply{http.StatusNotFound, "There is no such view here, or not for whoever asks.", []string{jsonType}, "Error"}
	notReady   = reply{http.StatusServiceUnavailable, "This node is still reading the view; Retry-After says when to ask again.", []string{jsonType}, "Error"}
	whoAreYou  = reply{http.StatusUnauthorized, "Nobody in particular may not ask here.", []string{jsonType, "text/plain"}, "Error"}
	notYou     = reply{http.StatusForbidden, "Whoever asks may not do this.", []string{jsonType, "text/plain"}, "Error"}
	slowDown   = reply{http.StatusTooManyRequests, "Too many requests of one viewer or address.", []string{jsonType, "text/plain"}, "Error"}
	misnamed   = reply{http.StatusMisdirectedRequest, "This server does not go by the name in Host.", []string{jsonType}, "Error"}
)

// Parameters that many routes share.
var (
	keyParam = param{name: "key", many: true, example: "country:DE",
		doc: "Rows with this text in a key column, as `column:text`; the text alone where there is one key column beside the window. Several for one column: any of them; for different columns: all of them."}
	whereParam  = param{name: "where", example: "n > 10", doc: "An expression over the view's columns, in the language of pipelines. It saves bandwidth and is no right."}
	ticketParam = param{name: "ticket", doc: "A single-use ticket (POST /auth/ticket) in place of a bearer token or a cookie."}
	formatParam = param{name: "format", enum: []string{"json", "json-patch"}, initial: "json", doc: "json-patch: changed rows as RFC 6902 patches, where that is shorter."}
	fromParam   = param{name: "from", kind: instants, doc: "Time travel: from when the view is shown as it was."}
	toParam     = param{name: "to", kind: instants, doc: "Until when; absent: now."}
	speedParam  = param{name: "speed", kind: numbers, min: 0, max: 1000, initial: "1", doc: "How fast time goes, 0.1 to 1000; 0: the view as of from, and the end."}
	cursorParam = param{name: "cursor", doc: "Where the client was: the id of the last block that it read whole. Last-Event-ID, where given, is the newer one."}
)

// routes is the API. A path of the mux that is not here is a page, or a
// mistake that a test finds.
var routes = []route{
	{
		pattern: "GET /v1/views", id: "listViews", summary: "The views that whoever asks may see",
		answers: []reply{{200, "Name, columns and key of each view.", []string{jsonType}, "Views"}},
	},
	{
		pattern: "GET /v1/views/{pipeline}/{sink}", id: "queryView", summary: "A view's rows now",
		doc: "Point and range queries on the table that this node keeps: one version of it, from memory. Whole keys are looked up, all else is a scan. " +
			"The ETag stands for the rows, not for the status beside them.",
		params: []param{
			keyParam, whereParam,
			{name: "prefix", example: "country:D", doc: "Rows whose key column begins with this text, as `column:text`; the text alone where there is one key column beside the window. Of a view without key columns: rows whose `_key` does."},
			{name: "window_from", kind: instants, doc: "Rows with window_end at or after this."},
			{name: "window_to", kind: instants, doc: "Rows with window_end before this."},
			{name: "order", initial: "_key", example: "-n", doc: "A column, or `_key`; with a minus the greatest first. Integers that are text (beyond 2^53) compare as integers; null and missing come last."},
			{name: "limit", kind: integers, min: 1, max: 10000, initial: "1000", doc: "At most this many rows."},
			{name: "next", doc: "The `next` of the page before; all other parameters as they were."},
			{name: "format", enum: []string{"json", "csv"}, doc: "Of the answer; without it Accept decides, and without that it is JSON. In CSV, text that a spreadsheet would take for a formula has an apostrophe in front."},
			ticketParam,
		},
		answers: []reply{
			{200, "The rows, and where there are more, `next` (and Link) for the next page.", []string{jsonType, csvType}, "Rows"},
			{304, "The rows are those of the ETag in If-None-Match.", nil, ""},
			badRequest, noSuchView, notReady,
		},
	},
	{
		pattern: "GET /live/{pipeline}/{sink}", id: "watchView", summary: "A view as an event stream", stream: true,
		doc: "hello, snapshot…, ready, then delta, mark, presence and drain as they come. " +
			"With from= it is the past: the view's topic is read again by append time into a table of the client's own.",
		params: []param{
			keyParam, whereParam, cursorParam,
			fromParam, toParam, speedParam, formatParam,
			ticketParam,
		},
		answers: []reply{{200, "Events.", []string{streamType}, ""}, {http.StatusNoContent, "The cursor is at a replay's end.", nil, ""}, badRequest, noSuchView},
	},
	{
		pattern: "GET /live/{pipeline}/{sink}/poll", id: "pollView", summary: "A view by long polling",
		doc: "The events of the stream as one JSON array, for clients behind proxies that hold streams back. Without a cursor a snapshot, at once; " +
			"with one, what changed since, as soon as something has.",
		params: []param{keyParam, whereParam, cursorParam, formatParam, ticketParam},
		answers: []reply{
			{200, "Events; the newest id is the next cursor.", []string{jsonType}, "Messages"},
			{204, "Nothing changed for 20 s. The header Leat-Cursor, where it is there, is a newer cursor.", nil, ""},
			badRequest, noSuchView, notReady,
		},
	},
	{
		pattern: "GET /live/{pipeline}/{sink}/ws", id: "openView", summary: "A view over a WebSocket", stream: true,
		doc:    "The events of the stream, each a text message. The client says nothing.",
		params: []param{keyParam, whereParam, cursorParam, fromParam, toParam, speedParam, formatParam, ticketParam},
		answers: []reply{
			{101, "Messages, each a Message.", nil, ""},
			{426, "The request is none for a WebSocket.", []string{"text/plain"}, ""},
			badRequest, noSuchView,
		},
	},
	{
		pattern: "GET /v1/dashboards", id: "listDashboards", summary: "The dashboards that whoever asks may see",
		answers: []reply{{200, "Their pipelines, titles and views.", []string{jsonType}, "Dashboards"}},
	},
	{
		pattern: "GET /v1/dashboards/{pipeline}", id: "getDashboard", summary: "A dashboard and its panels",
		answers: []reply{{200, "The dashboard.", []string{jsonType}, "Dashboard"}, {404, "There is no such dashboard here.", []string{jsonType}, "Error"}},
	},
	{
		pattern: "GET /v1/presence/{pipeline}/{sink}", id: "whoWatches", summary: "Who is watching a view, on all nodes",
		doc:     "A viewer counts once a node, of nobody in particular each stream counts. Names are there where the server's config shows them.",
		params:  []param{ticketParam},
		answers: []reply{{200, "How many, and on which nodes.", []string{jsonType}, "Presence"}, noSuchView},
	},
	{
		pattern: "GET /v1/ops", id: "ops", summary: "How the workers of the fleet are",
		doc:     "On the admin address; here only for operators, as the config names them.",
		params:  []param{ticketParam},
		answers: []reply{{200, "Pipelines, their tasks and dead letters.", []string{jsonType}, "Ops"}, {404, "Whoever asks is no operator, or no worker runs here.", []string{jsonType}, "Error"}},
	},
	{
		pattern: "GET /v1/openapi.json", id: "openAPI", summary: "This document",
		answers: []reply{{200, "OpenAPI 3.1.", []string{jsonType}, ""}},
	},
}

// every route may be refused so, before it is reached.
var everywhere = []reply{whoAreYou, notYou, slowDown, misnamed}

var securitySchemes = object{
	"bearer":  object{"type": "http", "scheme": "bearer"},
	"session": object{"type": "apiKey", "in": "cookie", "name": "leat_session"},
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func listOf(of object) object { return object{"type": "array", "items": of} }

func fields(required []string, properties object) object {
	return object{"type": "object", "required": required, "properties": properties}
}

var (
	textSchema  = object{"type": "string"}
	wholeSchema = object{"type": "integer"}
	yesSchema   = object{"type": "boolean"}
	timeSchema  = object{"type": []string{"integer", "null"}, "description": "epoch ms"}
)

// schemas are those of JSON answers and bodies.
var schemas = object{
	"Error": fields([]string{"status", "error"}, object{"status": wholeSchema, "error": textSchema, "parameter": textSchema}),
	"View": fields([]string{"name", "pipeline", "sink", "stream", "schema", "key", "windowed", "appends"}, object{
		"name": textSchema, "pipeline": textSchema, "sink": textSchema, "stream": textSchema,
		"schema":   object{"type": []string{"array", "null"}, "items": fields([]string{"name", "type"}, object{"name": textSchema, "type": textSchema})},
		"key":      object{"type": []string{"array", "null"}, "items": textSchema},
		"windowed": yesSchema, "appends": yesSchema,
	}),
	"Views": listOf(ref("View")),
	"Row":   object{"type": "object", "required": []string{"_key"}, "properties": object{"_key": textSchema}, "description": "The view's columns, and the row's identity."},
	"Status": fields([]string{"watermark", "lag_ms", "lag_records", "late", "dropped", "stalled", "age_ms", "row_count", "now"}, object{
		"watermark": timeSchema, "expire_before": timeSchema, "ended": yesSchema, "idle": yesSchema, "lag_ms": wholeSchema, "lag_records": wholeSchema,
		"late": wholeSchema, "dropped": wholeSchema, "rest": wholeSchema, "stalled": listOf(wholeSchema), "holding": textSchema,
		"age_ms": wholeSchema, "row_count": wholeSchema, "now": wholeSchema, "trouble": textSchema,
	}),
	"Rows":       fields([]string{"view", "status", "rows"}, object{"view": textSchema, "status": ref("Status"), "rows": listOf(ref("Row")), "next": textSchema}),
	"Dashboard":  fields([]string{"pipeline", "title", "views"}, object{"pipeline": textSchema, "title": textSchema, "description": textSchema, "dashboard": object{}, "views": listOf(ref("View"))}),
	"Message":    fields([]string{"event", "data"}, object{"event": textSchema, "data": object{"type": "object"}, "id": textSchema}),
	"Messages":   listOf(ref("Message")),
	"Dashboards": listOf(ref("Dashboard")),
	"Presence": fields([]string{"view", "count", "nodes", "at"}, object{"view": textSchema, "count": wholeSchema, "principals": listOf(textSchema), "at": wholeSchema,
		"nodes": listOf(fields([]string{"node", "count"}, object{"node": textSchema, "count": wholeSchema, "principals": listOf(textSchema)}))}),
	"Ops": fields([]string{"node", "at", "nodes", "pipelines"}, object{"node": textSchema, "at": wholeSchema,
		"nodes":     listOf(fields([]string{"node", "role", "age_ms", "gone"}, object{"node": textSchema, "role": textSchema, "age_ms": wholeSchema, "gone": yesSchema})),
		"pipelines": listOf(object{"type": "object"})}),
}
