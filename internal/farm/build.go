package farm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// BuildState says whether a build is used.
type BuildState string

// The states of a build.
const (
	BuildUsable  BuildState = "usable"
	BuildAside   BuildState = "aside"   // it does not work; Reason says why
	BuildRetired BuildState = "retired" // kept for jobs that began with it, given to no new one
)

// Build is one build of a renderer for one system and architecture: an archive
// in the store of files and what is known of it.
type Build struct {
	ID       int64      `json:"id"`
	Product  string     `json:"product"` // blender, vray, radiance
	Version  string     `json:"version"`
	Revision string     `json:"revision,omitempty"` // hash of the source it was built from
	OS       string     `json:"os"`                 // as Machine.OS
	Arch     string     `json:"arch"`               // as Machine.Arch
	SHA256   string     `json:"sha256"`             // of the archive, lower-case hex
	MD5      string     `json:"md5,omitempty"`      // of the archive, lower-case hex
	Size     int64      `json:"size"`
	Origin   string     `json:"origin,omitempty"` // where it came from, in words
	State    BuildState `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Layout   Layout     `json:"layout,omitzero"`
	Added    time.Time  `json:"added"`
	By       string     `json:"by,omitempty"`

	// A build on trial goes to the first Trial workers that fit; 0: to all.
	Trial        int     `json:"trial,omitempty"`
	TrialWorkers []int64 `json:"trial_workers,omitempty"` // who they are
	Proved       []int64 `json:"proved,omitempty"`        // those that have done a task with it
	Failures     int     `json:"failures,omitempty"`      // of tasks while on trial
}

// Layout says where things are in a build once it is unpacked.
type Layout struct {
	Root    string `json:"root,omitempty"`    // folder in the archive that holds it all; "" for none
	Program string `json:"program,omitempty"` // path of the program below Root
}

// Pack is a file that a door made of others in the form of its wire: the
// archive of a job's files, or of a build. It lives as long as its job or build.
type Pack struct {
	Key    string    `json:"key"` // chosen by the door: "sheepit/job/1000"
	Job    int64     `json:"job,omitempty"`
	Build  int64     `json:"build,omitempty"`
	SHA256 string    `json:"sha256"`
	MD5    string    `json:"md5"`
	Size   int64     `json:"size"`
	Parts  []string  `json:"parts,omitempty"` // MD5 of its pieces of Piece bytes, the last one shorter
	Piece  int64     `json:"piece,omitempty"`
	Made   time.Time `json:"made"`
}

// String names the build for people: "blender 4.2.1 linux/x86_64".
func (b *Build) String() string { return b.Product + " " + b.Version + " " + b.OS + "/" + b.Arch }

// References calls fn with the blob that the build refers to; for stores.
func (b *Build) References(fn func(hash string) error) error { return fn(b.SHA256) }

// References calls fn with the blob that the pack refers to; for stores.
func (p *Pack) References(fn func(hash string) error) error { return fn(p.SHA256) }

func (b *Build) check() error {
	for _, l := range []struct{ what, text string }{{"product", b.Product}, {"version", b.Version}, {"operating system", b.OS}, {"architecture", b.Arch}} {
		if err := validLabel(l.what+" of the build", l.text); err != nil {
			return err
		}
	}
	switch {
	case len(b.SHA256) != 64 || strings.Trim(b.SHA256, "0123456789abcdef") != "":
		return Errorf(Invalid, "the build has no valid SHA-256 (64 lower-case hex digits)")
	case b.Size < 0 || len(b.Origin) > 4096 || len(b.Revision) > 256:
		return Errorf(Invalid, "the build's size, origin or revision is out of bounds")
	}
	for _, p := range []string{b.Layout.Root, b.Layout.Program} {
		if p == "" {
			continue
		}
		if err := validName(p); err != nil {
			return err
		}
	}
	return nil
}

func same(a, b *Build) bool {
	return a.Product == b.Product && a.Version == b.Version && a.Revision == b.Revision && a.OS == b.OS && a.Arch == b.Arch
}

// PublishBuild adds a build and reports whether it is new. One that is there
// already with the same archive is returned as it is, made usable again; with
// another archive it is a Conflict. What an account without the role operator, but
// with the role renderer, adds is an offer: it is set aside until somebody takes
// it.
func (f *Farm) PublishBuild(ctx context.Context, by Principal, b Build) (*Build, bool, error) {
	offered := !by.Is(RoleOperator)
	if offered && !by.Is(RoleRenderer) {
		return nil, false, Errorf(Forbidden, "renderer builds take the role operator, or renderer to offer one")
	}
	if err := b.check(); err != nil {
		return nil, false, err
	}
	if f.blobs != nil {
		size, err := f.blobs.Size(ctx, b.SHA256)
		if isNotFound(err) {
			return nil, false, Errorf(Invalid, "the archive of the build was not uploaded: %s is not in the store", b.SHA256)
		} else if err != nil {
			return nil, false, err
		}
		b.Size = size
	}
	var out Build
	fresh := false
	err := f.do(ctx, func(st *state) error {
		for _, old := range st.builds {
			if !same(old, &b) {
				continue
			}
			if old.SHA256 != b.SHA256 {
				return Errorf(Conflict, "%s %s for %s/%s is there already as build %d with another archive; remove that first", b.Product, b.Version, b.OS, b.Arch, old.ID)
			}
			if out = *old; !offered {
				out = *st.setBuild(old, BuildUsable, "")
			}
			return nil
		}
		st.lastBuild++
		b.ID, b.State, b.Reason, b.Added, b.By = st.lastBuild, BuildUsable, "", st.now, by.Login
		if offered {
			b.State, b.Reason = BuildAside, fmt.Sprintf("offered by %s; \"drover renderer use %d\" takes it", by.Login, b.ID)
		}
		st.putBuild(&b)
		st.equipAll()
		st.emit(Event{Type: "build.added", Text: b.String()})
		st.audit(by, "%s the build %d, %s", map[bool]string{true: "offered", false: "added"}[offered], b.ID, b.String())
		out, fresh = b, true
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return &out, fresh, nil
}

func (st *state) putBuild(b *Build) {
	st.builds[b.ID] = b
	st.dirty.rest.Builds = append(slices.DeleteFunc(st.dirty.rest.Builds, func(o *Build) bool { return o.ID == b.ID }), b)
}

func (st *state) setBuild(old *Build, s BuildState, reason string) *Build {
	if old.State == s && old.Reason == reason {
		return old
	}
	b := *old
	b.State, b.Reason = s, reason
	st.putBuild(&b)
	st.equipAll()
	if s == BuildAside {
		st.unpin(&b)
	}
	st.emit(Event{Type: "build.state", State: string(s), Text: b.String()})
	return &b
}

// SetBuildState makes a build usable, sets it aside with a reason, or retires
// it. Jobs that are pinned to the version of a build that is set aside begin
// with another, unless they have frames of it already: those wait.
func (f *Farm) SetBuildState(ctx context.Context, by Principal, id int64, s BuildState, reason string) (*Build, error) {
	if !by.Is(RoleOperator) {
		return nil, Errorf(Forbidden, "renderer builds take the role operator")
	}
	if s != BuildUsable && s != BuildAside && s != BuildRetired {
		return nil, Errorf(Invalid, "there is no build state %s; it is usable, aside or retired", quote(string(s)))
	}
	var out Build
	err := f.do(ctx, func(st *state) error {
		b := st.builds[id]
		if b == nil {
			return noBuild(id)
		}
		reason = clip(reason, 1000)
		if b.State != s || b.Reason != reason {
			st.audit(by, "made the build %d, %s, %s%s", id, b, s, because(reason))
		}
		out = *st.setBuild(b, s, reason)
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return &out, nil
}

// RetireBuild keeps a build for the jobs that began with its version and gives
// it to no others.
func (f *Farm) RetireBuild(ctx context.Context, by Principal, id int64) (*Build, error) {
	return f.SetBuildState(ctx, by, id, BuildRetired, "")
}

func noBuild(id int64) *Error {
	return Errorf(NotFound, "there is no build %d; \"drover renderer ls\" lists the builds", id)
}

// RemoveBuild forgets a build and what was made of it. It fails with Conflict
// while a job that has not ended is pinned to its version.
func (f *Farm) RemoveBuild(ctx context.Context, by Principal, id int64) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "renderer builds take the role operator")
	}
	return f.do(ctx, func(st *state) error {
		b := st.builds[id]
		if b == nil {
			return noBuild(id)
		}
		for _, j := range st.jobs {
			if !j.State.Ended() && j.Spec.Renderer == b.Product && j.Build == b.Version && !st.twin(b) {
				return Errorf(Conflict, "build %d is in use: job %d renders with %s %s; retire it instead", id, j.ID, b.Product, b.Version)
			}
		}
		delete(st.builds, id)
		st.dirty.rest.Builds = slices.DeleteFunc(st.dirty.rest.Builds, func(o *Build) bool { return o.ID == id })
		st.dirty.rest.DropBuilds = append(st.dirty.rest.DropBuilds, id)
		st.dropPacks(func(p *Pack) bool { return p.Build == id })
		st.equipAll()
		st.audit(by, "removed the build %d, %s %s %s/%s", id, b.Product, b.Version, b.OS, b.Arch)
		st.emit(Event{Type: "build.removed", Text: b.String()})
		return nil
	})
}

// twin reports whether another usable build is of the same version and system.
func (st *state) twin(b *Build) bool {
	for _, o := range st.builds {
		if o.ID != b.ID && o.State != BuildAside && o.Product == b.Product && o.Version == b.Version && o.OS == b.OS && o.Arch == b.Arch {
			return true
		}
	}
	return false
}

// BuildList lists the builds by product, version (newest first), system and id.
// A product other than "" restricts it.
func (f *Farm) BuildList(ctx context.Context, product string) ([]Build, error) {
	var out []Build
	err := f.do(ctx, func(st *state) error {
		for _, b := range st.builds {
			if product == "" || b.Product == product {
				out = append(out, *b)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	slices.SortFunc(out, func(a, b Build) int {
		return cmp.Or(strings.Compare(a.Product, b.Product), compareVersions(b.Version, a.Version), strings.Compare(a.OS, b.OS), strings.Compare(a.Arch, b.Arch), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// Build returns one build.
func (f *Farm) Build(ctx context.Context, id int64) (*Build, error) {
	var out Build
	err := f.do(ctx, func(st *state) error {
		b := st.builds[id]
		if b == nil {
			return noBuild(id)
		}
		out = *b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// PutPack keeps a pack; one with the same key is replaced. It fails with
// NotFound when its job or build is gone.
func (f *Farm) PutPack(ctx context.Context, p Pack) error {
	if p.Key == "" || len(p.Key) > 200 || (p.Job == 0) == (p.Build == 0) {
		return Errorf(Invalid, "a pack needs a key, and either a job or a build")
	}
	return f.do(ctx, func(st *state) error {
		if p.Build != 0 && st.builds[p.Build] == nil {
			return noBuild(p.Build)
		}
		if p.Job != 0 {
			if _, err := st.job(p.Job); err != nil {
				return err
			}
		}
		p.Made = st.now
		st.packs[p.Key] = &p
		st.dirty.rest.Packs = append(slices.DeleteFunc(st.dirty.rest.Packs, func(o *Pack) bool { return o.Key == p.Key }), &p)
		return nil
	})
}

// Pack finds a pack by its key. It fails with NotFound.
func (f *Farm) Pack(ctx context.Context, key string) (*Pack, error) {
	var out Pack
	err := f.do(ctx, func(st *state) error {
		p := st.packs[key]
		if p == nil {
			return Errorf(NotFound, "there is no pack %s", quote(key))
		}
		out = *p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// PackList lists the packs whose key begins with prefix, by key, each with
// whether its job or build is still used: an ended job's is not.
func (f *Farm) PackList(ctx context.Context, prefix string) ([]PackUse, error) {
	var out []PackUse
	err := f.do(ctx, func(st *state) error {
		for k, p := range st.packs {
			if !strings.HasPrefix(k, prefix) {
				continue
			}
			u := PackUse{Pack: *p}
			if p.Build != 0 {
				b := st.builds[p.Build]
				u.Used = b != nil && b.State != BuildAside
			} else if j := st.jobs[p.Job]; j != nil {
				u.Used = !j.State.Ended()
			}
			out = append(out, u)
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	slices.SortFunc(out, func(a, b PackUse) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// PackUse is a pack and whether anything that goes on needs it.
type PackUse struct {
	Pack
	Used bool
}

func (st *state) dropPacks(of func(*Pack) bool) {
	for k, p := range st.packs {
		if !of(p) {
			continue
		}
		delete(st.packs, k)
		st.dirty.rest.Packs = slices.DeleteFunc(st.dirty.rest.Packs, func(o *Pack) bool { return o.Key == k })
		st.dirty.rest.DropPacks = append(st.dirty.rest.DropPacks, k)
	}
}
