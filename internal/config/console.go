package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const off = "off"

// addressOrOff is an address as [address] takes it, or `off`, which gives none.
func addressOrOff() kind[string] {
	return kind[string]{address().name, func(s string) (string, error) {
		if s == off {
			return "", nil
		}
		if _, err := address().parse(s); err != nil {
			return "", complain(s, "an address", "host:port, something like 127.0.0.1:8081, or off")
		}
		return s, nil
	}}
}

// hostName is a name as it stands in a URL and in a request: for others than ASCII letters in the form of DNS. The last
// label is no number: browsers take what ends in one for an address, however it is written.
var hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

const hostNameLimit = 253

// hostNames is a list of names and addresses of hosts. They come out in lower case, without final dot and port.
func hostNames() kind[[]string] { return kind[[]string]{"list", eachOnce(hostAlone)} }

func hostAlone(s string) (string, error) {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			host = h
		}
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	}
	if addr, err := netip.ParseAddr(host); err == nil && !addr.IsUnspecified() && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if len(name) > hostNameLimit || !hostName.MatchString(name) {
		return "", complain(s, "a host", "a name like console.example.net (letters that are not ASCII in their xn-- form, no *), or an address")
	}
	return name, nil
}

// SaysConsoleAddr tells whether it was said where the page is to be. Else it is an offer: no work stands still for want of it.
func (c *Config) SaysConsoleAddr() bool { return c.values["WORKER_CONSOLE_ADDR"].from != fromDefault }

// checkConsole finds page and probes at the same place before the second of them cannot listen there.
func checkConsole(c *Config) Faults {
	page, probes := c.Worker.ConsoleAddr, c.Worker.HTTPAddr
	if !c.SaysConsoleAddr() || !collide(page, probes) { // without a page there is no port
		return nil
	}
	return Faults{c.wrong("WORKER_CONSOLE_ADDR",
		fmt.Sprintf("%s is where WORKER_HTTP_ADDR listens, at %s; wanted another port, or off", page, probes))}
}

// collide tells whether two addresses cannot both be listened on. Port 0 is any that is free, and no host every one.
func collide(a, b string) bool {
	hostA, portA := place(a)
	hostB, portB := place(b)
	everywhere := hostA == "" || hostB == ""
	return portA == portB && portA != 0 && (everywhere || hostA == hostB)
}

// place is an address in one of the ways in which it can be written.
func place(address string) (host string, port uint64) {
	host, digits, _ := net.SplitHostPort(address) // an address, by its kind
	port, _ = strconv.ParseUint(digits, 10, 16)
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.IsUnspecified() {
			return "", port
		}
		host = addr.Unmap().String()
	}
	return host, port
}
