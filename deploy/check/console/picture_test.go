package console

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"

	"github.com/chromedp/chromedp"

	"activation-worker/deploy/check/deploytest"
)

const (
	pictureAtMost  = 200_000 // bytes: it is part of every clone of the repository
	pictureColours = 40      // at least: one that shows nothing has two or three
)

// picture writes what the tab shows to a file, and checks that it is neither empty nor large.
func (b *tab) picture(file string, width int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, deploytest.Limit)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("taking %s: %v", file, err)
	}
	shown, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		b.t.Fatalf("%s: %v", file, err)
	}
	small := reduced(shown)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		b.t.Fatalf("%s: %v", file, err)
	}
	if got := small.Bounds().Dx(); got != width || out.Len() > pictureAtMost || len(small.Palette) < pictureColours {
		b.t.Errorf("%s is %d px wide, want %d, has %d bytes, at most %d, and %d colours, at least %d",
			file, got, width, out.Len(), pictureAtMost, len(small.Palette), pictureColours)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// reduced is a picture in 256 colours, half the size: those that it has most of, but none that is hardly another than one before, so that a
// small green dot stays green. The others are those of the edges of letters.
func reduced(full image.Image) *image.Paletted {
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	all := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, least := range []int{300, 100, 0} { // how far apart they are
		for _, c := range all {
			if len(palette) < 256 && (len(palette) == 0 || distance(c, palette[palette.Index(c)].(color.RGBA)) > least) {
				palette = append(palette, c)
			}
		}
	}
	nearest := map[color.RGBA]uint8{}
	for _, c := range all {
		nearest[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	return small
}

func distance(a, b color.RGBA) int {
	square := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return square(a.R, b.R) + square(a.G, b.G) + square(a.B, b.B)
}
