package frame

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// MaxCells is the largest number of pictures on a contact sheet.
const MaxCells = 1000

// Cell is one picture of a contact sheet.
type Cell struct {
	// Label stands under the picture; what does not fit is left out.
	Label string
	// Picture is a picture of Size bytes in any format that Prove reads: the
	// frame itself or its thumbnail. nil leaves the cell empty with a cross, as
	// does a picture that cannot be read.
	Picture io.ReaderAt
	Size    int64
}

const (
	cellSide  = 160 // longer side of a picture on the sheet, in pixels
	cellGap   = 6
	labelHigh = 16
)

var (
	sheetColour = color.RGBA{0x20, 0x20, 0x22, 255}
	emptyColour = color.RGBA{0x38, 0x38, 0x3c, 255}
	inkColour   = color.RGBA{0xd8, 0xd8, 0xd8, 255}
)

// ContactSheet writes a PNG of all cells, columns in a row, each with its label.
// It decodes one picture after another. An error is one of w, of a Picture's
// reader, or of the arguments; bad pictures are drawn as empty cells.
func ContactSheet(w io.Writer, cells []Cell, columns int) error {
	if len(cells) == 0 || len(cells) > MaxCells || columns < 1 || columns > 100 {
		return fmt.Errorf("contact sheet of %d pictures in %d columns: 1 to %d pictures in 1 to 100 columns are possible", len(cells), columns, MaxCells)
	}
	thumbs := make([][]byte, len(cells))
	high := 0
	for i, c := range cells {
		t, h, err := cellPicture(c)
		if err != nil {
			return fmt.Errorf("picture %d of the contact sheet: %w", i+1, err)
		}
		thumbs[i], high = t, max(high, h)
	}
	if high == 0 {
		high = cellSide * 9 / 16
	}
	columns = min(columns, len(cells))
	rows := (len(cells) + columns - 1) / columns
	stepX, stepY := cellSide+cellGap, high+labelHigh+cellGap
	sheet := image.NewRGBA(image.Rect(0, 0, columns*stepX+cellGap, rows*stepY+cellGap))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(sheetColour), image.Point{}, draw.Src)
	for i, c := range cells {
		at := image.Pt(cellGap+i%columns*stepX, cellGap+i/columns*stepY)
		if err := drawCell(sheet, image.Rectangle{at, at.Add(image.Pt(cellSide, high))}, thumbs[i]); err != nil {
			return fmt.Errorf("picture %d of the contact sheet: %w", i+1, err)
		}
		drawLabel(sheet, at.Add(image.Pt(0, high)), c.Label)
	}
	return png.Encode(w, sheet)
}

// cellPicture returns a cell's thumbnail and its height; none for a picture
// that cannot be read.
func cellPicture(c Cell) ([]byte, int, error) {
	if c.Picture == nil {
		return nil, 0, nil
	}
	thumb, info, err := Thumbnail(c.Picture, c.Size, cellSide)
	if KindOf(err) != "" {
		return nil, 0, nil
	}
	_, h := fit(info.Width, info.Height, cellSide)
	return thumb, h, err
}

func drawCell(sheet *image.RGBA, box image.Rectangle, thumb []byte) error {
	draw.Draw(sheet, box, image.NewUniform(emptyColour), image.Point{}, draw.Src)
	if thumb == nil {
		for x := range box.Dx() {
			y := x * (box.Dy() - 1) / max(1, box.Dx()-1)
			sheet.SetRGBA(box.Min.X+x, box.Min.Y+y, inkColour)
			sheet.SetRGBA(box.Min.X+x, box.Max.Y-1-y, inkColour)
		}
		return nil
	}
	img, err := jpeg.Decode(bytes.NewReader(thumb))
	if err != nil {
		return fmt.Errorf("decode thumbnail: %w", err)
	}
	b := img.Bounds()
	at := box.Min.Add(image.Pt((box.Dx()-b.Dx())/2, (box.Dy()-b.Dy())/2))
	draw.Draw(sheet, image.Rectangle{at, at.Add(b.Size())}.Intersect(box), img, b.Min, draw.Src)
	return nil
}

// drawLabel writes text below at, as much as fits a cell.
func drawLabel(sheet *image.RGBA, at image.Point, text string) {
	face := basicfont.Face7x13
	runes := []rune(text)
	if most := cellSide / face.Advance; len(runes) > most {
		runes = append(runes[:most-2], '.', '.')
	}
	d := font.Drawer{Dst: sheet, Src: image.NewUniform(inkColour), Face: face,
		Dot: fixed.P(at.X+(cellSide-len(runes)*face.Advance)/2, at.Y+face.Ascent+2)}
	d.DrawString(string(runes))
}
