// Package access decides who may look at live views: it is the gate that
// sse.Options takes.
//
//	request ─▶ origin ─▶ address rate ─▶ who? ─▶ their rate ─▶ may they? ─▶ the hub
//	           cors,                     bearer token: JWT by JWKS, or hashed
//	           csrf                      ?ticket= once
//	                                     cookie of a session
//
// There are only a few types: Config is what an operator writes; Gate stands in
// front of the hub; a tokens tells whose a bearer token is, with a keySet for
// JWTs; a sealer makes cookies and tickets that only we can open; rules say who
// may read which view, and which rows.
//
// What must stay true:
//
//   - Nobody is let in by default: without credentials only views whose rule
//     names `anonymous` are there; a view that no rule matches is nobody's.
//   - A view that one may not see is not there (404), whether it exists or not.
//     One who has not signed in is told so (401) for every view alike.
//   - A token that is wrong is an error, also where nobody needs one.
//   - A request lives no longer than what let it in: its context ends with the
//     token, so streams, polls and sockets do.
//   - Signatures are asymmetric, by an allow-list that cannot hold none or HS*.
//     Secrets are compared in constant time and only their hashes are known.
//   - A browser's request that changes something, or opens a socket, comes from
//     our own pages or from an origin in the list.
//   - No secret is in a URL, except a ticket: a path's, for seconds, for once.
//   - Memory is bounded whoever asks: counters of addresses are swept.
//
// No goroutine is started here; keys are fetched in the request that needs
// them, one fetch at a time. Cookies and tickets are sealed rather than stored,
// so every node that has the same session keys opens them; that a ticket is used
// once is kept by each node for itself.
package access
