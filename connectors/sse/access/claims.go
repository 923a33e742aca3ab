package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// decode reads one JSON value and nothing behind it.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// ParseClaims reads claims, a JSON object, with their numbers as int64 where they are whole:
// an id above 2^53 stays what it is.
func ParseClaims(b []byte) (map[string]any, error) {
	var claims map[string]any
	if len(b) == 0 {
		return map[string]any{}, nil
	}
	if err := decode(b, &claims); err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	if claims == nil {
		return map[string]any{}, nil
	}
	for k, v := range claims {
		claims[k] = exact(v)
	}
	return claims, nil
}

func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}

// ofToken are claims about a token and not about whose it is: two tokens of one
// person would make two readers of them.
var ofToken = []string{"exp", "nbf", "iat", "jti", "auth_time", "nonce", "at_hash", "c_hash", "s_hash"}

// keep drops all claims that are not in the list; of nil, those of the token.
func keep(claims map[string]any, names []string) map[string]any {
	for k := range claims {
		if names != nil && !slices.Contains(names, k) || names == nil && slices.Contains(ofToken, k) {
			delete(claims, k)
		}
	}
	return claims
}
