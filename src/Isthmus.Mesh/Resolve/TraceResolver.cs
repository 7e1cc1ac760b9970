using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>How proxies trace: Telemetries from the most general to the workload's own, over the defaults of MeshConfig and ProxyConfig.</summary>
internal static class TraceResolver
{
    /// <returns>For calls that the workload makes, or its gateway forwards; and for calls to it. Null: they are not traced.</returns>
    public static (TracePlan? OfClient, TracePlan? OfServer) Of(ProxyIdentity proxy, IEnumerable<Telemetry> telemetries, ProxyScope scope, MeshReads mesh)
    {
        var own = proxy.Tracing ?? mesh.Mesh.Tracing;
        var rules = telemetries.SelectMany(item => item.Tracing).ToList();
        if (rules.Count == 0 && mesh.Mesh.DefaultTracers.IsEmpty)
        {
            // As Istio did before there were Telemetries.
            var plan = mesh.Mesh.EnableTracing && own.ZipkinAddress.Length > 0 ? Plan(Zipkin(own.ZipkinAddress), [], own, scope, mesh) : null;
            return (plan, plan);
        }
        return (Plan(rules.Where(rule => rule.OfClients), own, scope, mesh), Plan(rules.Where(rule => rule.OfServers), own, scope, mesh));
    }

    private static TracePlan? Plan(IEnumerable<TraceRule> rules, ProxyTracing own, ProxyScope scope, MeshReads mesh)
    {
        var ordered = rules.ToList();
        if (ordered.LastOrDefault(rule => rule.IsDisabled is not null)?.IsDisabled == true) return null;
        var provider = ordered.LastOrDefault(rule => !rule.Providers.IsEmpty)?.Providers[0] ?? mesh.Mesh.DefaultTracers.FirstOrDefault("");
        return mesh.Mesh.Tracers.TryGetValue(provider, out var tracer) ? Plan(tracer, ordered, own, scope, mesh) : null;
    }

    private static TracePlan? Plan(Tracer tracer, List<TraceRule> rules, ProxyTracing own, ProxyScope scope, MeshReads mesh)
    {
        if (mesh.HostOf(tracer.Service, tracer.Port, scope) is not { } host) return null;
        return new(
            tracer, host, ResourceNames.Outbound(tracer.Port, "", host),
            rules.LastOrDefault(rule => rule.Sampling is not null)?.Sampling ?? own.Sampling ?? ProxyTracing.DefaultSampling,
            rules.LastOrDefault(rule => rule.Tags is not null)?.Tags ?? own.Tags,
            tracer.MaxTagLength ?? own.MaxTagLength)
        {
            UsesRequestId = rules.LastOrDefault(rule => rule.UsesRequestId is not null)?.UsesRequestId ?? true,
            HidesContext = rules.LastOrDefault(rule => rule.HidesContext is not null)?.HidesContext ?? false,
            HasIstioTags = rules.LastOrDefault(rule => rule.HasIstioTags is not null)?.HasIstioTags ?? true,
        };
    }

    private static Tracer Zipkin(string address)
    {
        var colon = address.LastIndexOf(':');
        return new("zipkin", TraceProtocol.Zipkin, address[..colon],
            int.Parse(address.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture)) { Path = Tracer.ZipkinPath };
    }
}
