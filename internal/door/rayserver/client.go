package rayserver

import (
	"context"
	"crypto/hmac"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// DialOptions say how a client reaches a server.
type DialOptions struct {
	Address string      // host:port
	Key     Key         // a Key without a name shows none
	TLS     *tls.Config // nil for plain TCP
	Within  time.Duration
}

// Client is a connection to a server, for one goroutine. Close it.
type Client struct {
	Hello Greeting

	l    *lines
	last int64
	time time.Duration
	stop func() bool
}

// Error is a refusal by the server.
type Error struct{ Code, Message string }

// Error returns the server's words.
func (e *Error) Error() string { return e.Message }

// Dial connects to a server, shows the key if the server asks for one, and sees
// to it that the server has the key too. The connection ends with ctx.
func Dial(ctx context.Context, o DialOptions) (*Client, error) {
	within, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if o.TLS != nil {
		dialer = &tls.Dialer{Config: o.TLS}
	}
	nc, err := dialer.DialContext(within, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("reach the Rayserver at %s: %w", o.Address, err)
	}
	c := &Client{l: newLines(nc, o.Within), time: o.Within}
	c.stop = context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })
	if err := c.greet(o.Key); err != nil {
		c.Close()
		return nil, fmt.Errorf("the Rayserver at %s: %w", o.Address, err)
	}
	return c, nil
}

// greet reads the greeting and shows the key.
func (c *Client) greet(key Key) error {
	line, err := c.l.read(c.time)
	if err != nil {
		return fmt.Errorf("it does not greet: %w", err)
	}
	var refused Answer
	if json.Unmarshal(line, &refused) == nil && refused.Code != "" {
		return &Error{refused.Code, refused.Error}
	}
	if err := json.Unmarshal(line, &c.Hello); err != nil || c.Hello.Rayserver != version {
		return fmt.Errorf("its greeting is not of the protocol rayserver/%d", version)
	}
	if key.Name == "" {
		return nil
	}
	if !slices.Contains(c.Hello.Auth, authKey) {
		return errors.New("it takes no keys; without --key-file it answers what it lets everyone ask")
	}
	own := newNonce()
	ofClient, ofServer, session := proofs(key, c.Hello.Nonce, own)
	a, err := c.Do(Request{Verb: "auth", Name: key.Name, Client: own, MAC: hex.EncodeToString(ofClient)})
	if err != nil {
		return err
	}
	if got, err := hex.DecodeString(a.MAC); err != nil || !hmac.Equal(got, ofServer) {
		return errors.New("it does not know the key: it is not the server that it seems to be")
	}
	c.l.secure(session, fromClient, fromServer)
	return nil
}

// Do asks for something and returns the answer. A refusal is an *Error.
func (c *Client) Do(r Request) (*Answer, error) {
	c.last++
	r.ID = c.last
	if err := c.l.write(r); err != nil {
		return nil, fmt.Errorf("ask the Rayserver: %w", err)
	}
	a, err := c.next(c.time)
	if err == nil && a.ID != r.ID {
		err = fmt.Errorf("the Rayserver answered request %d instead of %d", a.ID, r.ID)
	}
	return a, err
}

func (c *Client) next(within time.Duration) (*Answer, error) {
	line, err := c.l.read(within)
	if err != nil {
		return nil, fmt.Errorf("hear the Rayserver: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, fmt.Errorf("understand the Rayserver: %w", err)
	}
	if !a.OK {
		return nil, &Error{a.Code, a.Error}
	}
	return &a, nil
}

// Watch asks for the changes of a job, or of all for "", and calls tell with
// each until it returns false. The connection serves for nothing else after it.
func (c *Client) Watch(job string, tell func(Job) bool) error {
	if _, err := c.Do(Request{Verb: "watch", Job: job}); err != nil {
		return err
	}
	for {
		a, err := c.next(365 * 24 * time.Hour)
		if err != nil {
			return err
		}
		if a.Event != nil && !tell(*a.Event) {
			return nil
		}
	}
}

// Close ends the connection.
func (c *Client) Close() {
	c.stop()
	c.l.c.Close()
}
