package rayserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// conn is a conversation with a client.
type conn struct {
	s     *server
	l     *lines
	nonce string
	user  string // name of its key
	known bool   // it may do everything
}

// converse speaks with a client until it has gone or is at fault.
func (s *server) converse(ctx context.Context, nc net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })()
	c := &conn{s: s, l: newLines(nc, s.cfg.LineTime), nonce: newNonce(), known: s.cfg.Insecure}
	if c.l.write(s.greeting(c.nonce)) != nil {
		return
	}
	// Who has no key to show may not sit there for long.
	until := time.Now().Add(s.cfg.AuthTime)
	for ctx.Err() == nil {
		idle := s.cfg.IdleTime
		if !c.known {
			idle = time.Until(until)
		}
		line, err := c.l.read(idle)
		if err != nil {
			c.hangUp(ctx, err)
			return
		}
		if !c.answer(ctx, line) {
			return
		}
	}
}

// hangUp tells the client why the conversation ends, where it can know.
func (c *conn) hangUp(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	case errors.Is(err, errSeal):
		c.s.cfg.Note(fmt.Sprintf("client %s: %v", c.l.c.RemoteAddr(), err))
		c.l.write(fail(0, &refusal{codeDenied, err.Error()}))
	case errors.Is(err, errLong):
		c.l.write(fail(0, &refusal{codeBadRequest, err.Error()}))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.l.write(fail(0, &refusal{codeBusy, "nothing was said for too long"}))
	}
}

// answer answers a line and says whether the conversation goes on.
func (c *conn) answer(ctx context.Context, line []byte) bool {
	r, err := decodeRequest(line)
	if err != nil {
		return c.l.write(fail(r.ID, &refusal{codeBadRequest, err.Error()})) == nil
	}
	if r.Verb == "auth" {
		return c.auth(r)
	}
	do := verbs[r.Verb]
	switch {
	case do == nil:
		err = &refusal{codeBadRequest, fmt.Sprintf("there is no verb %.40q", r.Verb)}
	case !c.known && r.Verb != "hello":
		err = c.authRequired()
	default:
		var a Answer
		if a, err = do(ctx, c, r); err == nil {
			a.ID, a.OK = r.ID, true
			return c.l.write(a) == nil && (r.Verb != "watch" || c.watch(ctx, r))
		}
	}
	a := fail(r.ID, err)
	if a.Code == codeInternal {
		c.s.cfg.Note(fmt.Sprintf("%s of client %s: %v", r.Verb, c.l.c.RemoteAddr(), err))
	}
	return c.l.write(a) == nil
}

func (c *conn) authRequired() error {
	if len(c.s.cfg.Keys) == 0 {
		return &refusal{codeAuthRequired, "this server has no keys and answers only hello: put lines of NAME KEY into its config/keys"}
	}
	return &refusal{codeAuthRequired, "show a key first, with auth"}
}

// auth checks who the client is. A wrong key ends the conversation, so that each
// guess costs a connection.
func (c *conn) auth(r Request) bool {
	key := Key{r.Name, c.s.cfg.Keys[r.Name]}
	ofClient, ofServer, session := proofs(key, c.nonce, r.Client)
	got, err := hex.DecodeString(r.MAC)
	switch {
	case c.user != "":
		return c.l.write(fail(r.ID, &refusal{codeBadRequest, "this connection has shown its key already"})) == nil
	case c.s.cfg.Insecure || len(c.s.cfg.Keys) == 0:
		return c.l.write(fail(r.ID, &refusal{codeBadRequest, "this server has no keys"})) == nil
	case key.Secret == "" || len(r.Client) != macLen || err != nil || !hmac.Equal(got, ofClient):
		c.s.cfg.Note(fmt.Sprintf("client %s showed a wrong key for the name %.40q", c.l.c.RemoteAddr(), r.Name))
		c.l.write(fail(r.ID, &refusal{codeDenied, "the name or the key is wrong, or the request was sent before"}))
		return false
	}
	c.known, c.user = true, key.Name
	err = c.l.write(Answer{ID: r.ID, OK: true, MAC: hex.EncodeToString(ofServer)})
	c.l.secure(session, fromServer, fromClient)
	return err == nil
}

// decodeRequest reads a line. The id of a request that is refused is kept, if it
// could be read.
func decodeRequest(line []byte) (Request, error) {
	var r Request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("the line is no request: %w", err)
	}
	if d.More() {
		return r, errors.New("the line has more than one object")
	}
	if r.ID <= 0 {
		return r, errors.New("a request has an id above 0")
	}
	return r, nil
}
