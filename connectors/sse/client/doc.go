// Package client follows a live view from Go: it keeps the view's rows and
// tells when they change.
//
//	err := client.Follow(ctx, "https://leat.example/live/orders/by_country", client.Options{
//		Patches:  true,
//		OnChange: func(t *client.Table, c client.Change) { … },
//	})
//
//	connect ─▶ hello ─▶ snapshot… or what changed ─▶ ready ─▶ delta…, mark…
//	   ▲                                                          │ broken, drained,
//	   └──────── a random wait, then from the last cursor ◀───────┘ silent
//
// There are only a few types: Options, the Table of rows, a Change of it, and
// Refused, the one error that trying again would not mend. The protocol is in
// docs/protocol.md; nothing of the server is imported.
//
// Invariants: the rows never go back to empty while a connection is being
// made again; a cursor moves with the last block of a frame only, so nothing
// is missed; a patch is applied where the row before and after it has the hash
// that the server says, else everything is read again.
package client
