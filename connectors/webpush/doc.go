// Package webpush pushes the notes of an outbox to the browsers that asked for
// them (RFC 8030), encrypted for each (RFC 8291) and signed with our key
// (VAPID, RFC 8292).
//
//	dashboard ──POST /v1/push/subscriptions──▶ leat.push.subscriptions (compacted)
//	                                                 │ tailed by each node
//	outbox ──▶ Deliver ──▶ for each subscription of the sink: encrypt, sign, POST
//	                                                 │ 404, 410: it is gone ──▶ tombstone
//
// There are only four types: Keys, who we are; Subscription, a browser's
// address and key; Store, all of them; and Pusher, which delivers and answers
// the dashboard.
//
// What must stay true:
//
//   - The push service, which is anybody the browser names, reads nothing but
//     sizes, times and urgency, and is posted to as a webhook is: no private
//     addresses, no redirects.
//   - A note is pushed to a browser once, also when others have to be tried
//     again; a crash in between pushes it again, and its tag replaces the first.
//   - Nothing is called delivered before the store has caught up: an alert must
//     not get lost because this node had not yet read who wants it.
//
// Nothing here is a library's: the standard library has all that is needed, and
// what there is besides (github.com/SherClockHolmes/webpush-go) brings its own
// HTTP client and a JWT package.
package webpush
