package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
)

// viewSide is the longer side of pictures that are made for looking at.
const viewSide = 2048

// viewCache keeps pictures that were made for looking at: a film is looked at
// twice. It bounds how many are made at once, for each takes a core and the
// memory of a picture.
type viewCache struct {
	by    *lru.Cache[string, []byte]
	place chan struct{}
}

const viewsKept = 256

func newViewCache() *viewCache {
	by, _ := lru.New[string, []byte](viewsKept) // fails on a size below 1 only
	return &viewCache{by: by, place: make(chan struct{}, 2)}
}

// look says how a picture is to be shown.
type look struct {
	side  int          // longer side
	stops float64      // exposure
	tone  bool         // fit the whole range
	auto  bool         // choose the exposure
	scale *frame.Scale // false colours; nil for those of the picture
}

func (l look) key(h blob.Hash) string {
	key := fmt.Sprintf("%s/%d/%g/%t/%t", h, l.side, l.stops, l.tone, l.auto)
	if l.scale != nil {
		key += fmt.Sprintf("/%g-%g/%t", l.scale.Low, l.scale.High, l.scale.Linear)
	}
	return key
}

// kind is the media type of the picture.
func (l look) kind() string {
	if l.scale != nil {
		return "image/png"
	}
	return "image/jpeg"
}

// output answers with a picture that a task put out, as a browser can show it:
// ?thumb for the small one, ?side= for one of a size, ?stops= or ?tone for
// pictures of light values, ?luminance or ?luminance=10-1000 (with ?linear) for
// their false colours as a PNG; the file itself where browsers can read it.
func (v *visit) output() error {
	_, f, h, err := v.outputFile()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	if q.Has("thumb") {
		if h, err = blob.ParseHash(f.Thumb); err != nil {
			return farm.Errorf(farm.NotFound, "there is no thumbnail of this file")
		}
		return v.servePicture(h, "thumbnail.jpg", true)
	}
	isRange, known := pictureKinds[strings.ToLower(path.Ext(f.Name))]
	if !known {
		return farm.Errorf(farm.Invalid, "the file %s is no picture that can be shown; download it", quoted(path.Base(f.Name)))
	}
	if q.Has("luminance") && !isRange {
		return farm.Errorf(farm.Invalid, "the file %s has display colours, no luminance", quoted(path.Base(f.Name)))
	}
	l := look{side: viewSide, auto: isRange}
	if s := q.Get("side"); s != "" {
		n, err := parseNumber(s)
		if err != nil || n < 16 || n > viewSide {
			return farm.Errorf(farm.Invalid, "pictures are shown with 16 to %d pixels", viewSide)
		}
		l.side = int(n)
	} else if !isRange && v.servePicture(h, path.Base(f.Name), false) == nil {
		return nil
	}
	if q.Has("luminance") {
		scale, err := frame.ParseScale(q.Get("luminance"), q.Has("linear"), l.side)
		if err != nil {
			return farm.Errorf(farm.Invalid, "%v", err)
		}
		l.scale = &scale
	}
	if isRange {
		if l.tone = q.Has("tone"); l.tone {
			l.auto = false
		}
		if s := q.Get("stops"); s != "" {
			if l.stops, err = strconv.ParseFloat(s, 64); err != nil || math.IsNaN(l.stops) || math.Abs(l.stops) > 30 {
				return farm.Errorf(farm.Invalid, "the exposure %q is no number of stops between −30 and 30", clip(s, 20))
			}
			l.auto = false
		}
	}
	text, err := v.view(v.ctx(), h, l, isRange)
	if err != nil {
		return err
	}
	v.sendPicture(l.kind(), l.key(h), "view", bytes.NewReader(text))
	return nil
}

// view makes a picture to look at.
func (s *site) view(ctx context.Context, h blob.Hash, l look, isRange bool) ([]byte, error) {
	if text, ok := s.views.by.Get(l.key(h)); ok {
		return text, nil
	}
	select {
	case s.views.place <- struct{}{}:
		defer func() { <-s.views.place }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file, err := s.Blobs.Open(ctx, h)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var text []byte
	if l.scale != nil {
		var b bytes.Buffer
		err = frame.FalseColourPNG(&b, file, file.Size(), *l.scale)
		text = b.Bytes()
	} else if isRange {
		text, err = develop(file, file.Size(), l)
	} else {
		text, _, err = frame.Thumbnail(file, file.Size(), l.side)
	}
	var fault *frame.Fault
	if errors.As(err, &fault) {
		return nil, farm.Errorf(farm.Invalid, "%s", fault.Message)
	} else if err != nil {
		return nil, err
	}
	s.views.by.Add(l.key(h), text)
	return text, nil
}

// develop makes a picture of light values one of display colours.
func develop(r io.ReaderAt, size int64, l look) ([]byte, error) {
	m, err := frame.ReadHDR(r, size, l.side)
	if frame.KindOf(err) == frame.WrongFormat { // an .exr or .pic that holds display colours
		text, _, err := frame.Thumbnail(r, size, l.side)
		return text, err
	} else if err != nil {
		return nil, err
	}
	var img image.Image
	switch {
	case l.tone:
		img = m.ToneMap()
	case l.auto && m.Format == frame.HDR:
		img = m.View(m.AutoStops())
	default:
		img = m.View(l.stops)
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 90})
	return b.Bytes(), err
}

// signatures are how files begin that browsers show as pictures. A file is only
// served as one if it begins so, whatever its name says.
var signatures = []struct{ magic, kind string }{
	{"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"BM", "image/bmp"},
}

var errNoPicture = farm.Errorf(farm.Invalid, "the file is not a picture that browsers show")

// servePicture answers with a blob as it is if it is a picture that browsers
// show, else it fails and has answered nothing.
func (v *visit) servePicture(h blob.Hash, name string, jpegOnly bool) error {
	f, err := v.Blobs.Open(v.ctx(), h)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, s := range signatures {
		if strings.HasPrefix(string(head[:n]), s.magic) && (!jpegOnly || s.kind == "image/jpeg") {
			v.sendPicture(s.kind, h.String(), name, io.NewSectionReader(f, 0, f.Size()))
			return nil
		}
	}
	return errNoPicture
}

// sendPicture answers with a picture that never changes under its address.
func (v *visit) sendPicture(kind, tag, name string, r io.ReadSeeker) {
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Cache-Control", "private, max-age=86400")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	http.ServeContent(v.w, v.r, name, v.Farm.Now(), r)
}
