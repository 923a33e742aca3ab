package expr

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/cespare/xxhash/v2"

	"github.com/leatstream/leat/engine"
)

// hash is hash(x): the XXH64 of the value's text, as an int; the same forever.
func hash(_ *compiler, k call) (*node, error) {
	return safe(rowwise(tInt, k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		if textual(in[0].Type) {
			out.Ints[i] = int64(xxhash.Sum64String(in[0].Strs[i]))
			return nil
		}
		out.Ints[i] = int64(xxhash.Sum64(engine.AppendText(f.bytes(32), in[0], i)))
		return nil
	}), k.args...), nil
}

// digestible checks that argument i is text or bytes.
func (k call) digestible(i int) error {
	if t := k.args[i].t; t != tString && t != tBytes {
		return k.wrong(i)
	}
	return nil
}

// sha256Hex is sha256(x), in lower-case hex.
func sha256Hex(_ *compiler, k call) (*node, error) {
	if err := k.digestible(0); err != nil {
		return nil, err
	}
	return safe(fn1(tString, k.args[0], strs, strs, func(s string) (string, error) {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:]), nil
	}), k.args[0]), nil
}

// hmacHex is hmac(x, key): HMAC-SHA-256 in lower-case hex.
func hmacHex(_ *compiler, k call) (*node, error) {
	for i := range k.args {
		if err := k.digestible(i); err != nil {
			return nil, err
		}
	}
	mac, last := hmac.New(sha256.New, nil), ""
	return safe(fn2(tString, k.args[0], k.args[1], strs, strs, strs, func(s, key string) (string, error) {
		if key != last {
			mac, last = hmac.New(sha256.New, []byte(key)), key
		}
		mac.Reset()
		mac.Write([]byte(s))
		var sum [sha256.Size]byte
		return hex.EncodeToString(mac.Sum(sum[:0])), nil
	}), k.args...), nil
}

// secret is secret("NAME"), from the worker's configuration.
func secret(c *compiler, k call) (*node, error) {
	if !c.keyed { // so that no message and no row can show it
		return nil, k.at.errorf(`hmac(x, secret("NAME"))`, "a secret is only for the key of hmac()")
	}
	a := k.args[0]
	if a.konst == nil || a.t != tString {
		return nil, a.at.errorf("", "the name of a secret is a constant text")
	}
	if c.env.Secret != nil {
		if v, ok := c.env.Secret(a.konst.text); ok {
			return constant(StringValue(v)), nil
		}
	}
	return nil, a.at.errorf("secrets stand in leat.yaml", "unknown secret %q", a.konst.text)
}
