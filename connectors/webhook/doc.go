// Package webhook posts the notes of an outbox to an address, and holds the
// HTTP client that everything uses that posts to addresses from outside.
//
//	POST url
//	Content-Type:      application/json
//	Idempotency-Key:   orders.hook.outbox/3/1207        the note's ID, the same in every attempt
//	webhook-id:        orders.hook.outbox/3/1207
//	webhook-timestamp: 1760000000                       seconds, of this attempt
//	webhook-signature: v1,<base64>  [v1,<base64>]       with a secret: HMAC-SHA256 of id.timestamp.body
//
//	{"country":"DE","n":12,"alert.status":"firing",…}
//
// The three webhook- headers are those of the Standard Webhooks specification
// (github.com/standard-webhooks), so that its libraries verify them.
//
// There are only three types: Client, which knows where it may not go (Guard);
// and Config, of one receiver. New makes an outbox.Deliver of it.
//
// What must stay true:
//
//   - An address is judged when it is dialled, after names were resolved: what
//     is not on the public internet is refused unless it is allowed by name of
//     its network. Neither DNS nor a redirect gets around it; redirects are not
//     followed.
//   - The environment's proxy variables are not read. A proxy is used where the
//     config names one, and then it decides about names.
//   - A receiver's answer costs at most a few KB and the timeout.
//   - URLs, headers and secrets are in no error and no log line: of an address
//     only the host is told.
package webhook
