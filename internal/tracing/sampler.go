package tracing

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// samplers are those of the standard, each from its ratio.
var samplers = map[string]func(ratio float64) sdk.Sampler{
	"always_on":                func(float64) sdk.Sampler { return sdk.AlwaysSample() },
	"always_off":               func(float64) sdk.Sampler { return sdk.NeverSample() },
	"traceidratio":             sdk.TraceIDRatioBased,
	"":                         func(float64) sdk.Sampler { return sdk.ParentBased(sdk.AlwaysSample()) },
	"parentbased_always_on":    func(float64) sdk.Sampler { return sdk.ParentBased(sdk.AlwaysSample()) },
	"parentbased_always_off":   func(float64) sdk.Sampler { return sdk.ParentBased(sdk.NeverSample()) },
	"parentbased_traceidratio": func(ratio float64) sdk.Sampler { return sdk.ParentBased(sdk.TraceIDRatioBased(ratio)) },
}

func samplerOf(name, arg string) (sdk.Sampler, error) {
	ratio := 1.0
	if arg != "" {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %.40q is no number", arg)
		}
	}
	sampler := samplers[name]
	if sampler == nil {
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: %.40q is not known", name)
	}
	return sampler(ratio), nil
}

// resourceOf says who we are. The SDK's own would add the command line, which is nobody's business.
func resourceOf(o Options) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{
		attribute.String("service.name", scope),
		attribute.String("telemetry.sdk.name", "opentelemetry"), attribute.String("telemetry.sdk.language", "go"),
	}
	for pair := range strings.SplitSeq(o.Attributes, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil {
			return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %.40q is not key=value", pair)
		}
		attributes = append(attributes, attribute.String(strings.TrimSpace(key), value))
	}
	for key, value := range map[string]string{"service.name": o.Service, "service.version": o.Version, "service.instance.id": o.Instance} {
		if value != "" {
			attributes = append(attributes, attribute.String(key, value)) // the last of a key counts
		}
	}
	return resource.NewSchemaless(attributes...), nil
}
