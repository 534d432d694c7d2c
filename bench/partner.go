package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// servePartner is a stand-in for the partner that says yes to everybody after a fixed delay. It is written by hand, since on two cores
// each microsecond that it needs is taken from what is measured.
func servePartner(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("partner", flag.ContinueOnError)
	delay := f.Duration("delay", 0, "before each answer")
	if err := f.Parse(args); err != nil {
		return err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "listens", l.Addr())
	var calls sync.WaitGroup
	defer calls.Wait()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		calls.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer func() { _ = conn.Close() }()
			_ = answerAll(ctx, conn, *delay) // whoever called has gone
		})
	}
}

// answerAll serves the requests of one connection, in HTTP/1.1.
func answerAll(ctx context.Context, conn net.Conn, delay time.Duration) error {
	in := bufio.NewReaderSize(conn, 8<<10)
	var out bytes.Buffer
	for {
		id, err := readRequest(in)
		if err != nil {
			return err
		}
		if delay > 0 && !pause(ctx, delay) {
			return ctx.Err()
		}
		body := customer(id)
		out.Reset()
		fmt.Fprintf(&out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if _, err := conn.Write(out.Bytes()); err != nil {
			return err
		}
	}
}

// readRequest reads one request to its end and returns the customer's id in its path, 0 for none.
func readRequest(in *bufio.Reader) (id int64, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return 0, errors.New("not a request")
	}
	if _, rest, found := bytes.Cut(fields[1], []byte("/customers/")); found {
		digits, _, _ := bytes.Cut(rest, []byte("/"))
		id, _ = strconv.ParseInt(string(digits), 10, 64)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !found {
			break
		}
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	_, err = in.Discard(length)
	return id, err
}

// customer is the partner's object of an active customer, of about the size that real ones have.
func customer(id int64) []byte {
	return fmt.Appendf(nil, `{"tenantId":51200417,"domainId":%d,"domain":"c%d.example","companyName":"日の出フーズ株式会社","enableActiveDomain":true,`+
		`"domainType":"DOMAIN","createdTime":"2026-02-01T09:00:00+09:00","administrator":{"email":"admin@c%d.example","lastName":"山田","firstName":"花子"},`+
		`"address":{"country":"JP","postalCode":"100-0001","region":"東京都","locality":"千代田区"},"locale":"ja_JP","timeZone":"Asia/Tokyo",`+
		`"partnership":{"status":"APPROVED","customerCode":"C-%d"}}`, id, id, id, id)
}
