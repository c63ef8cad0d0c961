package archive

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// zipCrypto is the traditional PKWARE encryption (APPNOTE.TXT 6.3.10, section
// 6.1). It keeps nobody out who tries; it is the one form of encrypted zip that
// every client opens.
type zipCrypto struct{ k [3]uint32 }

// headerLen is the length of the random header before encrypted content.
const headerLen = 12

func newZipCrypto(password []byte) *zipCrypto {
	z := &zipCrypto{[3]uint32{0x12345678, 0x23456789, 0x34567890}}
	for _, b := range password {
		z.update(b)
	}
	return z
}

func (z *zipCrypto) update(b byte) {
	z.k[0] = crc32.IEEETable[byte(z.k[0])^b] ^ z.k[0]>>8
	z.k[1] = (z.k[1]+z.k[0]&0xff)*134775813 + 1
	z.k[2] = crc32.IEEETable[byte(z.k[2])^byte(z.k[1]>>24)] ^ z.k[2]>>8
}

func (z *zipCrypto) stream() byte {
	t := z.k[2]&0xffff | 2
	return byte(t * (t ^ 1) >> 8)
}

func (z *zipCrypto) encrypt(dst, src []byte) {
	for i, b := range src {
		dst[i] = b ^ z.stream()
		z.update(b)
	}
}

func (z *zipCrypto) decrypt(p []byte) {
	for i, b := range p {
		b ^= z.stream()
		z.update(b)
		p[i] = b
	}
}

// cryptWriter encrypts what is written to it, head before all else.
type cryptWriter struct {
	w    io.Writer
	z    *zipCrypto
	head []byte
	buf  [4096]byte
}

func (c *cryptWriter) Write(p []byte) (int, error) {
	if head := c.head; head != nil {
		c.head = nil
		if _, err := c.Write(head); err != nil {
			return 0, err
		}
	}
	done := 0
	for len(p) > 0 {
		n := min(len(p), len(c.buf))
		c.z.encrypt(c.buf[:n], p[:n])
		if _, err := c.w.Write(c.buf[:n]); err != nil {
			return done, err
		}
		done += n
		p = p[n:]
	}
	return done, nil
}

type cryptReader struct {
	r io.Reader
	z *zipCrypto
}

func (c *cryptReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.z.decrypt(p[:n])
	return n, err
}

// openZipCrypto reads the header; check is the byte its last one must be.
func openZipCrypto(r io.Reader, password string, check byte) (io.Reader, error) {
	c := &cryptReader{r, newZipCrypto([]byte(password))}
	var head [headerLen]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, fmt.Errorf("read the encryption header: %w", err)
	}
	if head[headerLen-1] != check {
		return nil, ErrPassword
	}
	return c, nil
}

// AES encryption of zips, as WinZip specifies it (AE-1 and AE-2).
const (
	aesMethod   = 99
	aesExtra    = 0x9901
	aesMAC      = 10
	aesVerifier = 2
	aesRounds   = 1000
)

// aesInfo reads the extra field: the key's length in bytes and the true method.
func aesInfo(extra []byte) (keyLen int, method uint16, version uint16, err error) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			break
		}
		if id == aesExtra && n >= 7 {
			if s := extra[4]; s >= 1 && s <= 3 {
				return 8 + 8*int(s), binary.LittleEndian.Uint16(extra[5:]), binary.LittleEndian.Uint16(extra), nil
			}
		}
		extra = extra[n:]
	}
	return 0, 0, 0, errors.New("its AES field is damaged")
}

// aesReader decrypts and, at the end, checks the authentication code.
type aesReader struct {
	r       io.Reader // without the code
	tail    io.Reader // the code
	mac     hash.Hash
	block   cipher.Block
	counter uint64
	pad     [aes.BlockSize]byte
	used    int
	ended   error
}

// openAES reads salt and verifier. raw has size bytes in all.
func openAES(raw io.Reader, size int64, password string, keyLen int) (io.Reader, error) {
	saltLen := keyLen / 2
	body := size - int64(saltLen) - aesVerifier - aesMAC
	if body < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	head := make([]byte, saltLen+aesVerifier)
	if _, err := io.ReadFull(raw, head); err != nil {
		return nil, fmt.Errorf("read the encryption header: %w", err)
	}
	keys, err := pbkdf2.Key(sha1.New, password, head[:saltLen], aesRounds, 2*keyLen+aesVerifier)
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	if subtle.ConstantTimeCompare(keys[2*keyLen:], head[saltLen:]) != 1 {
		return nil, ErrPassword
	}
	block, err := aes.NewCipher(keys[:keyLen])
	if err != nil {
		return nil, err
	}
	return &aesReader{r: io.LimitReader(raw, body), tail: raw, mac: hmac.New(sha1.New, keys[keyLen:2*keyLen]), block: block, used: aes.BlockSize}, nil
}

func (a *aesReader) Read(p []byte) (int, error) {
	if a.ended != nil {
		return 0, a.ended
	}
	n, err := a.r.Read(p)
	a.mac.Write(p[:n])
	for i := range p[:n] {
		if a.used == aes.BlockSize {
			a.counter++
			var ctr [aes.BlockSize]byte
			binary.LittleEndian.PutUint64(ctr[:], a.counter)
			a.block.Encrypt(a.pad[:], ctr[:])
			a.used = 0
		}
		p[i] ^= a.pad[a.used]
		a.used++
	}
	if err == io.EOF {
		err = a.verify()
	}
	a.ended = err
	return n, err
}

func (a *aesReader) verify() error {
	code := make([]byte, aesMAC)
	if _, err := io.ReadFull(a.tail, code); err != nil {
		return io.ErrUnexpectedEOF
	}
	if !hmac.Equal(code, a.mac.Sum(nil)[:aesMAC]) {
		return errors.New("its content is not what was encrypted")
	}
	return io.EOF
}
