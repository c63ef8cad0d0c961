package config

import (
	"net/netip"
	"time"

	"drover.farm/internal/door/flamenco"
	"drover.farm/internal/door/sheepit"
	"drover.farm/internal/farm"
)

// Serve is the settings of `drover serve`.
type Serve struct {
	Listen       string         `yaml:"listen" help:"Address of the main listener: HOST:PORT. Port 0 takes a free one."`
	ReadyFile    string         `yaml:"ready_file" help:"Once the farm is ready its URL is written to this file; it is removed at the end."`
	PublicURL    string         `yaml:"public_url" help:"What absolute links in answers are built from when a proxy is in front; else the host that the client used."`
	TrustedProxy []netip.Prefix `yaml:"trusted_proxy" help:"Networks of proxies whose forwarded addresses count, such as 10.0.0.0/8."`
	TLS          TLS            `yaml:"tls"`
	AdminToken   string         `yaml:"admin_token_file" help:"File with a token that the account admin shall have, besides those made otherwise: for servers whose data folders do not last, and after all tokens were lost."`
	Store        string         `yaml:"store" help:"Where the farm's state is: a database file, by default drover.db in the data folder, or postgres://USER:PASSWORD@HOST:PORT/NAME, which several servers may share."`
	Blobs        string         `yaml:"blobs" help:"Where the farm's files are: a folder, by default blobs in the data folder, or s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&path_style=true with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."`
	Cluster      Cluster        `yaml:"cluster"`
	Files        Files          `yaml:"files"`
	HTTP         HTTP           `yaml:"http"`
	Pictures     Pictures       `yaml:"pictures"`
	Web          Web            `yaml:"web"`
	Renderers    Renderers      `yaml:"renderers"`
	Swarm        Swarm          `yaml:"swarm"`
	Log          Log            `yaml:"log"`
	Farm         farm.Settings  `yaml:"farm"`

	SheepIt  sheepit.Settings  `yaml:"sheepit"`
	Flamenco flamenco.Settings `yaml:"flamenco"`
}

// Cluster is how a server takes part in a farm of several, which share a
// PostgreSQL database.
type Cluster struct {
	Address string        `yaml:"address" help:"URL under which the other servers of the farm reach this one, such as http://10.0.0.7:7700. By default what it listens on."`
	Check   time.Duration `yaml:"check" help:"How often the server that writes makes sure that it still may."`
	Hold    time.Duration `yaml:"hold" help:"How long a request is held while no server writes."`
}

// TLS is the certificate of the main listener.
type TLS struct {
	Cert string `yaml:"cert" help:"File with the certificate, and those above it, of the main listener (PEM). It is read again when it changes."`
	Key  string `yaml:"key" help:"File with the certificate's private key (PEM)."`
}

// Files is the settings of the store of files.
type Files struct {
	Quota       Size          `yaml:"quota" help:"How many bytes scenes, frames and logs may take together; 0 for no limit."`
	MinFree     Size          `yaml:"min_free" help:"How many bytes of the file system are left alone."`
	UploadLimit Size          `yaml:"upload_limit" help:"How many bytes one uploaded file may have."`
	UploadKept  time.Duration `yaml:"upload_kept" help:"How long an upload that was broken off can be gone on with."`
	UploadIdle  time.Duration `yaml:"upload_idle" help:"An upload that got no bytes for so long gives the room that it was promised to others, if they need it."`
	Sweep       time.Duration `yaml:"sweep" help:"How often files that nothing refers to any more are looked for."`
	Spare       time.Duration `yaml:"spare" help:"How long a file that nothing refers to is kept, for a job that is being submitted with it."`
	LogKept     time.Duration `yaml:"log_kept" help:"How long the live log of a task that is over is kept beside the log that was uploaded."`
}

// HTTP is the settings of the main listener.
type HTTP struct {
	HeaderTimeout time.Duration `yaml:"header_timeout" help:"How long a client may take to send the head of a request."`
	IdleTimeout   time.Duration `yaml:"idle_timeout" help:"How long a connection without a request is kept."`
	BodyTime      time.Duration `yaml:"body_time" help:"How long a client may take to send a JSON document."`
	TransferIdle  time.Duration `yaml:"transfer_idle" help:"How long a client may send or take nothing in the middle of a file."`
	Ping          time.Duration `yaml:"ping" help:"How often a silent stream of events says that it is still there."`
	LogPoll       time.Duration `yaml:"log_poll" help:"How often a log that is followed is looked at for the end of its task."`
	MaxHeld       int           `yaml:"max_held" help:"How many requests may be held open at once: workers that wait for tasks, streams of events."`
	FailBurst     int           `yaml:"fail_burst" help:"How many failed logins in a row an address may have before it is made to wait."`
	FailEvery     time.Duration `yaml:"fail_every" help:"After that, how long it waits for the next try."`
	Grace         time.Duration `yaml:"grace" help:"How long requests under way, such as uploads, may take to finish when the farm is told to end."`
}

// Pictures is the settings of the look that is taken at each frame.
type Pictures struct {
	AtOnce    int `yaml:"at_once" help:"How many frames are looked at at once; 0 for one a core."`
	Thumbnail int `yaml:"thumbnail" help:"The longer side of thumbnails in pixels."`
}

// Web is the settings of the page for people.
type Web struct {
	Session time.Duration `yaml:"session" help:"How long a login at the page lasts."`
	Fresh   time.Duration `yaml:"fresh" help:"How often a part of an open page is made anew at most."`
	Undo    time.Duration `yaml:"undo" help:"How long a cancel or removal asked for at the page can be taken back before it is done."`
	MaxLive int           `yaml:"max_live" help:"How many open pages are kept fresh at once; more are shown, but do not move."`
}

// Renderers is the settings of the library of renderers.
type Renderers struct {
	RunVersion bool `yaml:"run_version" help:"Whether a build that is added, and whose version nothing tells, is run in a sandbox to say it."`
	AtOnce     int  `yaml:"at_once" help:"How many archives are looked at at once."`
}

// Log is how the program's own log is written.
type Log struct {
	Level  string `yaml:"level" help:"Which lines are logged: debug, info, warn or error."`
	Format string `yaml:"format" help:"How lines are logged: text, json, or auto for text on a terminal and JSON elsewhere."`
}

// DefaultListen is where `drover serve` listens and where its clients look.
const DefaultListen = "127.0.0.1:7700"

// DefaultServe returns the settings of a farm that says nothing else.
func DefaultServe() *Serve {
	return &Serve{
		Listen: DefaultListen,
		Files: Files{
			MinFree: 1 << 30, UploadLimit: 1 << 40, UploadKept: 24 * time.Hour,
			UploadIdle: 15 * time.Minute, Sweep: time.Hour, Spare: 24 * time.Hour, LogKept: 24 * time.Hour,
		},
		HTTP: HTTP{
			HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, BodyTime: 30 * time.Second, TransferIdle: time.Minute,
			Ping: 15 * time.Second, LogPoll: time.Second, MaxHeld: 20_000, FailBurst: 20, FailEvery: 3 * time.Second, Grace: 30 * time.Second,
		},
		Pictures:  Pictures{Thumbnail: 320},
		Web:       Web{Session: 14 * 24 * time.Hour, Fresh: time.Second, Undo: 10 * time.Second, MaxLive: 5000},
		Renderers: Renderers{AtOnce: 2},
		Swarm:     defaultSwarm(),
		Log:       Log{Level: "info", Format: "auto"},
		Cluster:   Cluster{Check: 300 * time.Millisecond, Hold: 10 * time.Second},
		Farm:      farm.Defaults(),
		SheepIt:   sheepit.Defaults(),
		Flamenco:  flamenco.Defaults(),
	}
}
