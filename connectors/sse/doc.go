// Package sse shows live views: rows that keep changing, in a browser.
//
//	task ─▶ Sink ─▶ <pipeline>.<sink>.view ─▶ Tail ─▶ table ─▶ tick ─▶ group ─▶ clients
//	        writer          a topic          one reader    each      one per
//	        (run)                            per node      refresh   filter
//	                                         (run, serve)
//
// A view is a topic that every serving node reads whole, so any node can
// serve any client, and a cursor taken on one node resumes on another. There
// are only a few types: Sink writes a task's rows and marks; a table holds a
// view's newest rows in the order of their last change; a group encodes each
// frame once for all clients with one filter; a conn is one client's stream
// over a transport (events over HTTP, a WebSocket, a poll's answer); the Hub
// owns them and answers HTTP. docs/protocol.md is for who writes a client.
//
// The stream of GET /live/{pipeline}/{sink}?key=…&cursor=…:
//
//	retry: 2718                                  random, 2 to 5 s
//	event: hello     {"view","epoch","schema","resumed","reason",…}
//	event: snapshot  {"rows":[…]}                blocks of at most 64 KB
//	event: ready     {"row_count"}               the rows since hello replace all others
//	event: delta     {"upsert":[…],"delete":[…],"watermark","expire_before"}
//	id: v1.<epoch>.<offset vector>               on the last block of a frame only
//	event: mark      {"watermark","lag_ms","stalled",…}   each second, data or not
//	event: drain     {"retry_ms"}                the server ends the stream; come back
//	: still here                                 each 15 s
//
// Rows carry their identity as "_key"; "delete" lists identities. A snapshot
// may also come later in a stream, to a client that fell too far behind.
//
// Filters. By key columns a row never moves, by an expression it may: a group
// whose filter has one holds the rows that its clients have (held.go), and a
// row that moves out is in "delete". Of what a client asks for (where=) a
// resume may delete more than it had. Under a right of the gate's nothing may
// be known of other rows: only held rows are deleted, who falls behind gets a
// snapshot, marks count the viewer's rows, frames without any are not sent,
// and the cursor is no offset vector but a digest of the rows, which resumes
// while nothing has changed for the viewer; all else is a snapshot, "filtered".
// Groups that hold rows write what is of the last tick, never newer. With
// format=json-patch the held row is also what a patch begins at.
//
// With from=, to= and speed= the stream is the past (replay.go): hello says
// "replay", each frame is followed by its time, and there is an end.
//
//	event: clock     {"at","exact"}              where the replay is; exact: the frame is as it was
//	event: done      {"at"}                      the client does not come again
//
// What must stay true:
//
//   - A client's rows after a frame are the table at the frame's version, and
//     its cursor never lies beyond its rows. Between snapshot and delta nothing
//     is missing: frames may overlap, never leave a gap.
//   - A cursor that cannot be resumed exactly gives a snapshot and the reason.
//   - A row of a window is gone when window_end < watermark - history: writer,
//     reader and page apply the same rule, so age needs no tombstones.
//   - A client that holds a row it may not see any longer is told so in the
//     next frame; one that never held it learns nothing, not even its key.
//   - A slow client costs no memory: its backlog is a suffix of the table's
//     list. A stalled one delays nobody and ends at its write deadline.
//   - Record data is hostile: rows are checked to be JSON and put on one line,
//     keys cannot pose as marks, the page only ever sets text.
//   - No third-party assets, no CORS, names checked, nothing cached.
//
// Goroutines: per view one in Tail (run) and one that ticks (frames), owned
// by Hub.Run; per client its handler's, and over HTTP/1.1 one that hears when it
// hangs up (direct.go). Locks: group.mu, then view.mu.
//
// To add a panel: one file in web/panels, one line in web/panels/kinds.js.
package sse
