package main

import (
	"bytes"
	"strings"
	"testing"
)

// A list of the forgotten that has nobody is one: the steps of a restore go on.
func TestForgetReadsAList(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                  "nobody is listed",
		"\ufeff\r\n":        "nobody is listed",
		`{"domain":"none"}`: "line 1 has no domainId",
		"51200931\n{":       "line 2",
	} {
		cmd := forgetCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		var out bytes.Buffer
		cmd.SetIn(strings.NewReader(text))
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--file", "-", "--why", "restored"})
		err := cmd.ExecuteContext(t.Context())
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), says) || (err == nil) != strings.HasPrefix(says, "nobody") {
			t.Errorf("of %q it says %q, want %q", text, out.String(), says)
		}
	}
	ids, err := listedIDs("-", strings.NewReader("\ufeff51200931\r\n\r\n{\"domainId\":9223372036854775807,\"state\":\"forgotten\"}\n"))
	if err != nil || strings.Join(ids, " ") != "51200931 9223372036854775807" {
		t.Errorf("read %q, %v", ids, err)
	}
}
