package sheepit

import "time"

// Settings are the door's times and bounds. The zero value of a field means its
// default; see Defaults.
type Settings struct {
	SessionTimeout time.Duration `yaml:"session_timeout" help:"After this silence a SheepIt session is over. Clients are silent for 16 minutes while they render, whatever they are told."`
	Lease          time.Duration `yaml:"lease" help:"How long a frame is a SheepIt session's after its last request."`
	MinVersion     string        `yaml:"min_version" help:"Clients older than this version, such as 5.16270.0, are turned away; empty: none."`
	Repeat         time.Duration `yaml:"repeat" help:"A session that asks for work again within this time gets the same frame: clients repeat requests by themselves."`
	Uploading      time.Duration `yaml:"uploading" help:"How long a session that asks for work while a frame of it is on its way is told that there is none, when there is no other, before it gets that frame again."`
	MaxHeld        int           `yaml:"max_held" help:"How many frames a session may have, rendered ones on their way included; at most 3."`
	TestFrames     int           `yaml:"test_frames" help:"How many frames of a job have to be there before clients may upload one while they render the next."`
	Repeats        int           `yaml:"repeats" help:"How often a session may ask again for a frame that it never delivers before that frame goes to another worker."`
	PackWait       time.Duration `yaml:"pack_wait" help:"How long a session's request waits for an archive that is being made."`
	ChunkSize      int64         `yaml:"chunk_size" help:"How many bytes a piece of a scene has for clients that take scenes in pieces."`
	FrameLimit     int64         `yaml:"frame_limit" help:"How many bytes a frame may have."`
	KeyLifetime    time.Duration `yaml:"key_lifetime" help:"How long the key lasts that a client gets at its login in place of the password; 0: for ever."`
	Mirrors        []string      `yaml:"mirrors" help:"URLs of files by which clients measure their connection; by default the farm's own."`
	SpeedBytes     int64         `yaml:"speed_bytes" help:"How many bytes the farm's own file for that has; negative: clients measure nothing."`
	DownloadTime   time.Duration `yaml:"download_time" help:"A session whose measured connection would take longer for a scene is given a smaller one while one waits."`
	Rosetta        bool          `yaml:"rosetta" help:"Macs with Apple's processors get Blender for Intel's where the library has none for theirs, and run it by Rosetta 2."`
	Launcher       string        `yaml:"launcher" help:"Path of drover.exe, this program for Windows: the archives for Windows get it as what clients start, so that Blender prints nothing until it has read the scene, which clients of 2022 delete at the first line. Empty: this program, if it runs on Windows, else clients start Blender itself."`
	Rate           float64       `yaml:"rate" help:"How many requests a second of one session are answered at once; more are slowed down."`
}

// Defaults returns the settings of a door that says nothing else.
func Defaults() Settings {
	return Settings{
		SessionTimeout: 20 * time.Minute,
		Lease:          20 * time.Minute,
		Repeat:         10 * time.Second,
		Uploading:      2 * time.Minute,
		MaxHeld:        3,
		TestFrames:     1,
		Repeats:        3,
		PackWait:       30 * time.Second,
		ChunkSize:      32 << 20,
		FrameLimit:     1 << 30,
		SpeedBytes:     4 << 20,
		DownloadTime:   5 * time.Minute,
		Rosetta:        true,
		Rate:           20,
	}
}

// withDefaults fills in what is zero.
func (s Settings) withDefaults() Settings {
	d := Defaults()
	def(&s.SessionTimeout, d.SessionTimeout)
	def(&s.Lease, d.Lease)
	def(&s.Repeat, d.Repeat)
	def(&s.Uploading, d.Uploading)
	def(&s.MaxHeld, d.MaxHeld)
	def(&s.TestFrames, d.TestFrames)
	def(&s.Repeats, d.Repeats)
	def(&s.PackWait, d.PackWait)
	def(&s.ChunkSize, d.ChunkSize)
	def(&s.FrameLimit, d.FrameLimit)
	def(&s.DownloadTime, d.DownloadTime)
	if s.SpeedBytes == 0 {
		s.SpeedBytes = d.SpeedBytes
	}
	if s.Rate <= 0 {
		s.Rate = d.Rate
	}
	s.MaxHeld = min(s.MaxHeld, 3)
	s.ChunkSize = max(s.ChunkSize, 64<<10)
	return s
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
