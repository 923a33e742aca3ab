package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// mostPlain is how long a message may be: a push service takes bodies of 4096
// bytes, of which the header and the tag are part.
const mostPlain = 4096 - headerSize - 1 - 16

const (
	saltSize   = 16
	pointSize  = 65
	headerSize = saltSize + 4 + 1 + pointSize
	recordSize = 4096
)

// encrypt makes the body of a push: aes128gcm (RFC 8188) with the keys of RFC
// 8291.
//
//	[salt 16][record size 4][65][our public key 65][ciphertext … tag 16]
func encrypt(plain []byte, s Subscription) ([]byte, error) {
	theirs, auth, err := s.keys()
	if err != nil {
		return nil, err
	}
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	return seal(plain, theirs, auth, ours, salt)
}

func seal(plain []byte, theirs *ecdh.PublicKey, auth []byte, ours *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(plain) > mostPlain {
		return nil, fmt.Errorf("encrypt a push: %d bytes are more than %d", len(plain), mostPlain)
	}
	shared, err := ours.ECDH(theirs)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	public := ours.PublicKey().Bytes()
	secret, err := hkdf.Key(sha256.New, shared, auth, "WebPush: info\x00"+string(theirs.Bytes())+string(public), 32)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	key, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push: %w", err)
	}
	out := append(make([]byte, 0, headerSize+len(plain)+17), salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(append(out, pointSize), public...)
	const last = 2 // the delimiter of the only record
	return gcm.Seal(out, nonce, append(append([]byte{}, plain...), last), nil), nil
}
