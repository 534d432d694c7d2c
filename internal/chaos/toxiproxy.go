package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// toxiproxy steers a toxiproxy server by its HTTP API, as of version 2.12. Its own client package would bring a module into
// go.mod for five requests, and takes no context.
type toxiproxy struct {
	api    string // as http://host:port
	client *http.Client
}

func newToxiproxy(address string) *toxiproxy {
	return &toxiproxy{api: "http://" + address, client: &http.Client{Timeout: 10 * time.Second}}
}

// ask sends a request with a JSON body, nil for none.
func (t *toxiproxy) ask(ctx context.Context, method, path string, body any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("toxiproxy: %s %s: %w", method, path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, t.api+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("toxiproxy: %s %s: %w", method, path, err)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("toxiproxy: %s %s: %w", method, path, err)
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	_ = resp.Body.Close() // it has been read
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, said)
	}
	if err != nil {
		return fmt.Errorf("toxiproxy: %s %s: %w", method, path, err)
	}
	return nil
}

// ready reports whether the server answers.
func (t *toxiproxy) ready(ctx context.Context) error {
	return t.ask(ctx, http.MethodGet, "/version", nil)
}

// link is one proxy.
type link struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  bool   `json:"enabled"`
}

func (t *toxiproxy) create(ctx context.Context, l link) error {
	return t.ask(ctx, http.MethodPost, "/proxies", l)
}

// enable opens a proxy, or closes it with all its connections.
func (t *toxiproxy) enable(ctx context.Context, name string, open bool) error {
	return t.ask(ctx, http.MethodPost, "/proxies/"+name, map[string]bool{"enabled": open})
}

// poison adds toxics to a proxy and returns their names.
func (t *toxiproxy) poison(ctx context.Context, name, prefix string, toxics []Toxic) ([]string, error) {
	var added []string
	for i, one := range toxics {
		id := prefix + "-" + strconv.Itoa(i)
		err := t.ask(ctx, http.MethodPost, "/proxies/"+name+"/toxics", struct {
			Name string `json:"name"`
			Toxic
		}{id, one})
		if err != nil {
			return added, err
		}
		added = append(added, id)
	}
	return added, nil
}

func (t *toxiproxy) cure(ctx context.Context, name, toxic string) error {
	return t.ask(ctx, http.MethodDelete, "/proxies/"+name+"/toxics/"+toxic, nil)
}

// reset opens every proxy and removes every toxic.
func (t *toxiproxy) reset(ctx context.Context) error {
	return t.ask(ctx, http.MethodPost, "/reset", nil)
}
