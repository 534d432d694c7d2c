package broker

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Keys of the ledger's metadata.
const (
	metadataHost   = "activation-partner-host"
	metadataTenant = "activation-partner-tenant"
)

// Binding is the partner tenant whose customers a ledger records. A ledger is bound at the first run with credentials,
// so that another tenant's credentials, or a simulator's, cannot be mistaken for the ones it was written with.
type Binding struct {
	Host   string // of the partner's API; "" where there are no credentials
	Tenant string // domain of the service account; "" with a ready-made access token
}

// String names the tenant for an operator.
func (b Binding) String() string {
	if b.Tenant == "" {
		return "host " + b.Host
	}
	return "host " + b.Host + ", tenant " + b.Tenant
}

func bindingOf(metadata map[string]string) Binding {
	return Binding{Host: metadata[metadataHost], Tenant: metadata[metadataTenant]}
}

// metadata is base with the binding in it; the keys of others, also the server's, stay.
func (b Binding) metadata(base map[string]string) map[string]string {
	if b.Host == "" {
		return base
	}
	m := maps.Clone(base)
	if m == nil {
		m = map[string]string{}
	}
	m[metadataHost] = b.Host
	delete(m, metadataTenant)
	if b.Tenant != "" {
		m[metadataTenant] = b.Tenant
	}
	return m
}

// admits reports whether credentials for wants may work on a ledger bound to b. An access token names no tenant.
func (b Binding) admits(wants Binding) bool {
	if b.Host == "" || wants.Host == "" {
		return true
	}
	return strings.EqualFold(b.Host, wants.Host) &&
		(b.Tenant == "" || wants.Tenant == "" || strings.EqualFold(b.Tenant, wants.Tenant))
}

// completed adds what the ledger does not say yet.
func (b Binding) completed(wants Binding) Binding {
	if b.Host == "" {
		return wants
	}
	if b.Tenant == "" && wants.Host != "" {
		b.Tenant = wants.Tenant
	}
	return b
}

// bind checks the ledger's binding and completes it. It reports the binding before and after.
func (a *admin) bind(ctx context.Context, config jetstream.StreamConfig) (before, after Binding, err error) {
	before, wants := bindingOf(config.Metadata), a.layout.Binding
	if !before.admits(wants) {
		return before, before, &BindingError{Stream: config.Name, Is: before, Wants: wants}
	}
	after = before.completed(wants)
	if after == before {
		return before, after, nil
	}
	config.Metadata = after.metadata(config.Metadata)
	info, err := a.updateStream(ctx, config)
	if err != nil {
		return before, before, err
	}
	// Another worker with other credentials may have been here at the same time.
	if stored := bindingOf(info.Config.Metadata); !stored.admits(wants) {
		return before, stored, &BindingError{Stream: config.Name, Is: stored, Wants: wants}
	}
	return before, after, nil
}

// Rebind binds the ledger to the layout's partner tenant, whatever it was bound to before. The records stay as they
// are: only for a partner or tenant that was renamed, or a ledger that is to begin anew with another.
func Rebind(ctx context.Context, js jetstream.JetStream, l Layout) (Change, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return Change{}, err
	}
	if a.layout.Binding.Host == "" {
		return Change{}, errors.New("rebinding the ledger: no partner credentials are set; set LINEWORKS_SERVICE_ACCOUNT and the settings beside it, or LINEWORKS_ACCESS_TOKEN")
	}
	info, err := a.streamInfo(ctx, a.layout.Streams.Ledger)
	if err != nil {
		return Change{}, err
	}
	config := info.Config
	before := bindingOf(config.Metadata)
	config.Metadata = a.layout.Binding.metadata(config.Metadata)
	if _, err := a.updateStream(ctx, config); err != nil {
		return Change{}, err
	}
	return bindingChange(config.Name, before, a.layout.Binding), nil
}

func bindingChange(stream string, before, after Binding) Change {
	return Change{Object: "stream " + stream, Setting: "partner", From: before.shown(), To: after.shown()}
}

func (b Binding) shown() string {
	if b.Host == "" {
		return "not bound"
	}
	return b.String()
}
