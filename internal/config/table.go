package config

import "time"

// settings is the table of all settings, in the order in which they are printed and documented.
func settings() []setting {
	var all []setting
	for _, rows := range [][]setting{natsSettings(), partnerSettings(), streamSettings(), workerSettings(), tracingSettings()} {
		for _, s := range rows {
			all = append(all, s.withFile()...)
		}
	}
	return all
}

func natsSettings() []setting {
	return []setting{
		{
			name: "NATS_URL", group: GroupNATS, auto: "embedded", help: "server list, comma-separated",
			value: bind(serverList(), func(c *Config) *string { return &c.NATS.URL }),
		},
		{
			name: "WORKER_EMBEDDED_NATS", group: GroupWorker, def: "auto",
			help:  "`auto`: run a server inside where `NATS_URL` is not set; `never`",
			value: choose(func(c *Config) *string { return &c.NATS.Embedded }, "auto", "never"),
		},
		{
			name: "WORKER_NATS_LISTEN", group: GroupNATS, def: "127.0.0.1:4222",
			help:  "address of the embedded server; other commands look for it there",
			value: bind(address(), func(c *Config) *string { return &c.Worker.NATSListen }),
		},
		{
			name: "WORKER_DATA_DIR", group: GroupWorker, def: "./data", help: "directory of the embedded server",
			value: bind(text(), func(c *Config) *string { return &c.Worker.DataDir }),
		},
		{
			name: "NATS_CREDS", group: GroupNATS, help: "credentials file", private: true,
			value: bind(path(), func(c *Config) *string { return &c.NATS.Creds }),
		},
		{
			name: "NATS_NKEY", group: GroupNATS, help: "seed file", private: true,
			value: bind(path(), func(c *Config) *string { return &c.NATS.NKey }),
		},
		{
			name: "NATS_USER", group: GroupNATS, help: "user",
			value: bind(text(), func(c *Config) *string { return &c.NATS.User }),
		},
		{
			name: "NATS_PASSWORD", group: GroupNATS, help: "password of `NATS_USER`",
			secret: func(c *Config) *Secret { return &c.NATS.Password },
		},
		{
			name: "NATS_TOKEN", group: GroupNATS, help: "authentication token",
			secret: func(c *Config) *Secret { return &c.NATS.Token },
		},
		{
			name: "NATS_CA", group: GroupNATS, auto: "the system's", help: "PEM file with further roots",
			value: bind(path(), func(c *Config) *string { return &c.NATS.CA }),
		},
		{
			name: "NATS_CERT", group: GroupNATS, help: "client certificate, a PEM file",
			value: bind(path(), func(c *Config) *string { return &c.NATS.Cert }),
		},
		{
			name: "NATS_KEY", group: GroupNATS, help: "key of `NATS_CERT`, a PEM file", private: true,
			value: bind(path(), func(c *Config) *string { return &c.NATS.Key }),
		},
		{
			name: "NATS_INBOX_PREFIX", group: GroupNATS, auto: "`_INBOX`", help: "prefix of reply subjects",
			value: bind(subject(), func(c *Config) *string { return &c.NATS.InboxPrefix }),
		},
		{
			name: "NATS_JS_DOMAIN", group: GroupNATS, auto: "the account's", help: "JetStream domain",
			value: bind(streamName(), func(c *Config) *string { return &c.NATS.JSDomain }),
		},
	}
}

func partnerSettings() []setting {
	return []setting{
		{
			name: "LINEWORKS_CLIENT_ID", group: GroupPartner, help: "service-account credentials: client id",
			value: bind(text(), func(c *Config) *string { return &c.Partner.ClientID }),
		},
		{
			name: "LINEWORKS_CLIENT_SECRET", group: GroupPartner, help: "service-account credentials: client secret",
			secret: func(c *Config) *Secret { return &c.Partner.ClientSecret },
		},
		{
			name: "LINEWORKS_SERVICE_ACCOUNT", group: GroupPartner,
			help:  "service-account credentials: the account, with its `@…` part",
			value: bind(account(), func(c *Config) *string { return &c.Partner.ServiceAccount }),
		},
		{
			name: "LINEWORKS_PRIVATE_KEY", group: GroupPartner,
			help:   `service-account credentials: the key as PEM; line ends may be written ` + "`\\n`",
			secret: func(c *Config) *Secret { return &c.Partner.PrivateKey },
		},
		{
			name: "LINEWORKS_ACCESS_TOKEN", group: GroupPartner,
			help:   "a ready-made bearer token in place of these four; it cannot be renewed",
			secret: func(c *Config) *Secret { return &c.Partner.AccessToken },
		},
		{
			name: "LINEWORKS_API_URL", group: GroupPartner, def: "https://www.worksapis.com/v1.0",
			help:  "https, or http on loopback; this and `LINEWORKS_TOKEN_URL` are both the partner's or neither",
			value: bind(baseURL(), func(c *Config) *string { return &c.Partner.APIURL }),
		},
		{
			name: "LINEWORKS_TOKEN_URL", group: GroupPartner, def: "https://auth.worksmobile.com/oauth2/v2.0/token",
			help:  "see `LINEWORKS_API_URL`",
			value: bind(baseURL(), func(c *Config) *string { return &c.Partner.TokenURL }),
		},
		{
			name: "LINEWORKS_CA", group: GroupPartner, auto: "the system's", help: "PEM file with further roots",
			value: bind(path(), func(c *Config) *string { return &c.Partner.CA }),
		},
		{
			name: "LINEWORKS_SCOPE", group: GroupPartner, def: "partner", help: "scopes to ask for, separated by blanks",
			value: bind(text(), func(c *Config) *string { return &c.Partner.Scope }),
		},
		{
			name: "LINEWORKS_TIMEOUT", group: GroupPartner, def: "30s",
			help:  "of one request, redirects included; activation looks up DNS while we wait",
			value: bind(duration(), func(c *Config) *time.Duration { return &c.Partner.Timeout }),
		},
		{
			name: "LINEWORKS_CONCURRENCY", group: GroupPartner, def: "3",
			help: "simultaneous API requests, look-ups included, tokens not, all replicas together; the partner allows 5, shared with whatever " +
				"else calls it for us",
			value: bind(between(1, 1000), func(c *Config) *int { return &c.Partner.Concurrency }),
		},
		{
			name: "LINEWORKS_RATE", group: GroupPartner, def: "240/m",
			help: "for each partner operation by itself, all replicas together: never more in any sliding unit (`/s`, `/m`, " +
				"`/h`); `0` is no limit. The partner's quota is 240 a minute for each operation, 60 on its Free plan",
			value: bind(rate(), func(c *Config) *Rate { return &c.Partner.Rate }),
		},
		{
			name: "LINEWORKS_SUSTAINED_RATE", group: GroupPartner, def: "120/m",
			help:  "the same, as an average over 30 minutes: the partner asks for half its quota at most in long runs",
			value: bind(rate(), func(c *Config) *Rate { return &c.Partner.SustainedRate }),
		},
	}
}

func streamSettings() []setting {
	return []setting{
		{
			name: "WORKER_INTAKE_STREAM", group: GroupStreams, def: "SIGNUP", help: "stream of terms-accepted events",
			value: bind(streamName(), func(c *Config) *string { return &c.Worker.IntakeStream }),
		},
		{
			name: "WORKER_INTAKE_SUBJECT", group: GroupStreams, def: "signup.terms.accepted",
			help:  "filter on that stream, wildcards allowed",
			value: bind(filter(), func(c *Config) *string { return &c.Worker.IntakeSubject }),
		},
		{
			name: "WORKER_INTAKE_TYPE", group: GroupStreams, auto: "any",
			help:  "CloudEvents type of terms-accepted events; needed with a wildcard filter",
			value: bind(text(), func(c *Config) *string { return &c.Worker.IntakeType }),
		},
		{
			name: "WORKER_INTAKE_DOMAIN_ID", group: GroupStreams, def: "/domainId",
			help:  "JSON pointer to the domain id in the event's data",
			value: bind(pointer(), func(c *Config) *string { return &c.Worker.IntakeDomainID }),
		},
		{
			name: "WORKER_INTAKE_FROM", group: GroupStreams,
			help: "where reading starts at the very first run: `all`, `new` or a time (RFC 3339); needed when " +
				"messages older than an hour wait",
			value: bind(intakeFrom(), func(c *Config) *IntakeFrom { return &c.Worker.IntakeFrom }),
		},
		{
			name: "WORKER_STREAM", group: GroupStreams, def: "ACTIVATION",
			help:  "the ledger's stream; the worker's other streams have this name and a suffix",
			value: bind(streamName(), func(c *Config) *string { return &c.Worker.Stream }),
		},
		{
			name: "WORKER_REPLICAS", group: GroupStreams, auto: "`3` where the server is clustered, else `1`",
			help:  "of the worker's streams: `1`, `3` or `5`",
			value: bind(replicas(), func(c *Config) *int { return &c.Worker.Replicas }),
		},
		{
			name: "WORKER_STREAM_MAX_BYTES", group: GroupStreams, auto: "`10GiB`; embedded: a tenth of the free disk",
			help:  "size of the ledger's stream; nothing is claimed when no room is left for the outcome",
			value: bind(size(), func(c *Config) *int64 { return &c.Worker.StreamMaxBytes }),
		},
	}
}

func workerSettings() []setting {
	return []setting{
		{
			name: "WORKER_ID", group: GroupWorker, auto: "host name and a random suffix",
			help:  "names this process in events",
			value: bind(identity(), func(c *Config) *string { return &c.Worker.ID }),
		},
		{
			name: "WORKER_LEASE", group: GroupWorker, def: "60s",
			help:  "how long a claim holds; at least `LINEWORKS_TIMEOUT` + 10 s",
			value: bind(duration(), func(c *Config) *time.Duration { return &c.Worker.Lease }),
		},
		{
			name: "WORKER_SWEEP_INTERVAL", group: GroupWorker, def: "5m",
			help:  "how often one replica re-arms what has lost its timer",
			value: bind(duration(), func(c *Config) *time.Duration { return &c.Worker.SweepInterval }),
		},
		{
			name: "WORKER_GIVE_UP", group: GroupWorker, auto: "each reason's own",
			help:  "when to give up: `reason=24h,…`",
			value: bind(giveUps(), func(c *Config) *map[string]time.Duration { return &c.Worker.GiveUp }),
		},
		{
			name: "WORKER_BACKOFF", group: GroupWorker, auto: "each reason's own",
			help:  "waits between attempts: `reason=10s/60s/5m,…`, the last repeats",
			value: bind(backoffs(), func(c *Config) *map[string][]time.Duration { return &c.Worker.Backoff }),
		},
		{
			name: "WORKER_DNS_SCHEDULE", group: GroupWorker, def: defaultDNSSchedule,
			help: "while ownership records are not visible: `watch`: waits between looks, growing from the first to the " +
				"last; `call`: when to call all the same, counted from the first no, the last again and again; `visible`: " +
				"waits after a no once they are. A part left out keeps its default",
			value: bind(dnsSchedule(), func(c *Config) *DNSSchedule { return &c.Worker.DNSSchedule }),
		},
		{
			name: "WORKER_DNS_RESOLVERS", group: GroupWorker, def: ResolverSystem,
			help: "for watching ownership records, comma-separated: `system`, `authoritative`, IP addresses with or without " +
				"a port; or `off`",
			value: bind(resolvers(), func(c *Config) *[]string { return &c.Worker.DNSResolvers }),
		},
		{
			name: "WORKER_CLASSIFICATION", group: GroupWorker, auto: "the built-in table",
			help: "file (YAML or JSON), a list of `{status, code, reason}`: what the partner's definite 4xx answers mean, " +
				"over the built-in table; without `code`: any that has no entry of its own",
			value: bind(path(), func(c *Config) *string { return &c.Worker.ClassificationFile }),
		},
		{
			name: "WORKER_EVENT_SOURCE", group: GroupWorker,
			auto:  "`" + sourceReal + "`; towards a partner on loopback `" + sourceSimulated + "`",
			help:  "`source` of outgoing events",
			value: bind(uriReference(), func(c *Config) *string { return &c.Worker.EventSource }),
		},
		{
			name: "WORKER_RECORD_PARTNER_TEXT", group: GroupWorker, def: "ledger",
			help:  "the partner's error texts: `off`, `ledger` (in events only, cut and masked), `all`",
			value: choose(func(c *Config) *string { return &c.Worker.RecordPartnerText }, "off", "ledger", "all"),
		},
		{
			name: "WORKER_HTTP_ADDR", group: GroupHTTP, def: "127.0.0.1:8080", help: "address of `/livez` and `/readyz`",
			value: bind(address(), func(c *Config) *string { return &c.Worker.HTTPAddr }),
		},
		{
			name: "WORKER_CONSOLE_ADDR", group: GroupHTTP, def: "127.0.0.1:8081",
			help:  "address of the page that shows what goes on, apart from the probes'; `off`: there is none. It asks nobody who they are",
			value: bind(addressOrOff(), func(c *Config) *string { return &c.Worker.ConsoleAddr }),
		},
		{
			name: "WORKER_CONSOLE_HOSTS", group: GroupHTTP, auto: "only loopback and `WORKER_CONSOLE_ADDR`",
			help:  "further names under which browsers may ask for the page, comma-separated: those of a proxy before it, or of this machine",
			value: bind(hostNames(), func(c *Config) *[]string { return &c.Worker.ConsoleHosts }),
		},
		{
			name: "WORKER_LOG_LEVEL", group: GroupLog, def: "info", help: "`debug`, `info`, `warn` or `error`",
			value: choose(func(c *Config) *string { return &c.Worker.LogLevel }, "debug", "info", "warn", "error"),
		},
		{
			name: "WORKER_LOG_FORMAT", group: GroupLog, auto: "`console` on a terminal, else `json`",
			help:  "`console` or `json`",
			value: choose(func(c *Config) *string { return &c.Worker.LogFormat }, "console", "json"),
		},
	}
}
