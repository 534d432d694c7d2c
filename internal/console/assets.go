package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

const index = "index.html"

// policy lets the page have what comes from its own origin, as files: no script or style that somebody got into its text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// powers are what the page does without, whatever is in it.
const powers = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
	"":      "text/plain; charset=utf-8", // a licence
	".svg":  "image/svg+xml; charset=utf-8",
	".png":  "image/png",
	".ico":  "image/x-icon",
}

// asset is a file of the page.
type asset struct {
	content []byte
	kind    string // its content type
	tag     string // of what is in it
}

// assets are the page's files by their paths beside it, and how many parts these have at most.
func assets(of fs.FS) (all map[string]asset, depth int, err error) {
	all = map[string]asset{}
	err = fs.WalkDir(of, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kind := types[path.Ext(name)]
		if kind == "" {
			return fmt.Errorf("%s: the page has no type for such a file", name)
		}
		content, err := fs.ReadFile(of, name)
		sum := sha256.Sum256(content)
		all[name] = asset{content, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		depth = max(depth, strings.Count(name, "/")+1)
		return err
	})
	return all, depth, err
}

// serve lets a browser keep the file, and ask each time whether it is still the same.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.tag)
	if strings.HasPrefix(a.kind, "text/html") {
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", powers)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
