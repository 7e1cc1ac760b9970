using Google.Protobuf;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Trace;

namespace Isthmus.Mesh.Generate;

/// <summary>How a connection manager traces requests.</summary>
internal static class TraceConfigs
{
    private static readonly Percent All = new() { Value = 100 };

    /// <summary>Istio's own tags. The proxy finds the values in its environment: if they were here, no two workloads could share a listener.</summary>
    private static readonly (string Tag, string Variable)[] IstioTags =
    [
        ("istio.canonical_revision", ProxyVariables.CanonicalRevision), ("istio.canonical_service", ProxyVariables.CanonicalService),
        ("istio.cluster_id", ProxyVariables.ClusterId),
        ("istio.mesh_id", ProxyVariables.MeshId), ("istio.namespace", ProxyVariables.Namespace),
    ];

    public static HttpConnectionManager.Types.Tracing Of(TracePlan plan)
    {
        var tracing = new HttpConnectionManager.Types.Tracing
        {
            ClientSampling = All,
            RandomSampling = new() { Value = plan.Sampling },
            OverallSampling = All,
            MaxPathTagLength = plan.MaxTagLength,
            NoContextPropagation = plan.HidesContext,
            Provider = plan.Tracer.Protocol == TraceProtocol.Zipkin ? Zipkin(plan) : OpenTelemetry(plan),
        };
        var own = plan.Tags.Select(tag => Tag(tag.Key, tag.Value));
        var fixedOnes = plan.HasIstioTags
            ? IstioTags.Where(tag => !plan.Tags.ContainsKey(tag.Tag)).Select(tag => Tag(tag.Tag, new(TraceTagKind.Environment, tag.Variable, "unknown")))
            : [];
        tracing.CustomTags.AddRange(own.Concat(fixedOnes).OrderBy(tag => tag.Tag, StringComparer.Ordinal));
        return tracing;
    }

    private static CustomTag Tag(string name, TraceTag tag) => tag.Kind switch
    {
        TraceTagKind.Header => new() { Tag = name, RequestHeader = new() { Name = tag.Text, DefaultValue = tag.Default } },
        TraceTagKind.Environment => new() { Tag = name, Environment = new() { Name = tag.Text, DefaultValue = tag.Default } },
        TraceTagKind.Format => new() { Tag = name, Value = tag.Text },
        _ => new() { Tag = name, Literal = new() { Value = tag.Text } },
    };

    private static Tracing.Types.Http Zipkin(TracePlan plan)
    {
        var tracer = plan.Tracer;
        var config = new ZipkinConfig
        {
            CollectorEndpointVersion = ZipkinConfig.Types.CollectorEndpointVersion.HttpJson,
            TraceId128Bit = !tracer.HasShortIds,
            SharedSpanContext = false,
            TraceContextOption = tracer.AlsoW3C ? ZipkinConfig.Types.TraceContextOption.UseB3WithW3CPropagation : ZipkinConfig.Types.TraceContextOption.UseB3,
        };
        // Older proxies know only this form, which has neither.
        if (tracer.Timeout is null && tracer.Headers.Count == 0)
            (config.CollectorCluster, config.CollectorEndpoint, config.CollectorHostname) = (plan.Cluster, tracer.Path, plan.Host);
        else config.CollectorService = Service(plan, $"http://{plan.Host}{tracer.Path}", TimeSpan.FromSeconds(5));
        return new() { Name = tracer.Name, TypedConfig = Parts.Pack(config) };
    }

    private static Tracing.Types.Http OpenTelemetry(TracePlan plan)
    {
        var tracer = plan.Tracer;
        var config = new OpenTelemetryConfig();
        var timeout = tracer.Timeout is { } patience ? Parts.Duration(patience) : null;
        if (tracer.Protocol == TraceProtocol.OpenTelemetryGrpc)
        {
            config.GrpcService = new() { EnvoyGrpc = new() { ClusterName = plan.Cluster, Authority = plan.Host }, Timeout = timeout };
            config.GrpcService.InitialMetadata.AddRange(tracer.Headers.Select(header => new HeaderValue { Key = header.Key, Value = header.Value }));
        }
        else
        {
            config.HttpService = Service(plan, $"http://{plan.Host}:{tracer.Port}{tracer.Path}", TimeSpan.FromSeconds(3));
        }
        if (tracer.ReadsEnvironment) config.ResourceDetectors.Add(Detector("environment", new EnvironmentResourceDetectorConfig()));
        if (tracer.ReadsDynatrace) config.ResourceDetectors.Add(Detector("dynatrace", new DynatraceResourceDetectorConfig()));
        return new() { Name = tracer.Name, TypedConfig = Parts.Pack(config) };
    }

    private static TypedExtensionConfig Detector(string name, IMessage config) =>
        new() { Name = $"envoy.tracers.opentelemetry.resource_detectors.{name}", TypedConfig = Parts.Pack(config) };

    private static HttpService Service(TracePlan plan, string uri, TimeSpan patience)
    {
        var service = new HttpService { HttpUri = new() { Uri = uri, Cluster = plan.Cluster, Timeout = Parts.Duration(plan.Tracer.Timeout ?? patience) } };
        service.RequestHeadersToAdd.AddRange(plan.Tracer.Headers.Select(header => new HeaderValueOption
        {
            Header = new() { Key = header.Key, Value = header.Value }
        }));
        return service;
    }
}
