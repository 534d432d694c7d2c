package console

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts are the names, beside loopback's, under which the page may be asked for. Whoever has a name of their own point to
// 127.0.0.1 could else have a visitor's browser read the page for them: it takes it for theirs (DNS rebinding).
type hosts map[string]bool

// hostsOf has the host of a listener's address, if it has one, and further names.
func hostsOf(addr string, further []string) hosts {
	all := hosts{}
	for _, text := range append([]string{addr}, further...) {
		if name := hostOf(text); name != "" {
			all[name] = true
		}
	}
	return all
}

// only serves h to those who ask for one of the hosts, for loopback, or for the address at which they reached us.
func (all hosts) only(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := hostOf(r.Host); !all[name] && !loopback(name) && (name == "" || name != reached(r)) {
			answer(w, http.StatusMisdirectedRequest, sorry{fmt.Sprintf(
				"the page is not served for the host %.100q; if it is to be, add its name to the worker's WORKER_CONSOLE_HOSTS", r.Host)})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostOf is the host of what a Host header has, in the one form in which hosts are compared; empty where it cannot be understood.
func hostOf(text string) string {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return ""
		}
		host = h
	} else if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return host
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// reached is the host of the address at which a request has arrived.
func reached(r *http.Request) string {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return ""
	}
	return hostOf(at.String())
}
