using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks a callee that is called through a tunnel (HBONE): the end of the tunnel in its proxy, what is decided behind it, and its
/// application.</summary>
internal sealed class TunnelStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, TracedProxies proxies)
{
    /// <summary>Nothing ends tunnels there.</summary>
    internal const string NoEnd = "ISM2182";

    private readonly TlsStep _tls = new(facts, record, causes, call);
    private readonly InboundStep _inbound = new(facts, record, causes, call);
    private readonly ApplicationStep _application = new(record, causes, call);

    /// <param name="way">How the caller's proxy talks to it.</param>
    /// <param name="client">The caller's proxy.</param>
    public void Walk(EndpointWay way, Callee callee, ProxyView? client)
    {
        var (name, address) = (callee.Name, callee.Address);
        var end = $"HBONE to {address.Address}:{Ports.Tunnel}";
        if (ClusterObjects.Sidecar(callee.Pod) is null)
        {
            record.Fail("TLS", end, WithoutEnd(name, "but it has no sidecar that could end them", "inject a sidecar"));
            return;
        }
        if (proxies.View(name, "callee") is not { } view) return;
        if (view.Decisions.TunnelEnd is not var (outer, inner))
        {
            record.Fail("TLS", end, WithoutEnd(name, $"but its proxy ends none at port {Ports.Tunnel}",
                "set ISTIO_META_ENABLE_HBONE: \"true\" in its proxyMetadata"));
            return;
        }
        if (way.Tls is not { } ours || outer.Choose(new(address.Address, Ports.Tunnel), call.ClientEnd, "", ours.Alpn)?.Tls is not { } theirs)
        {
            record.Fail("TLS", end, causes.Availability.Unconfigured(way.Tls is null ? facts.Client : name, "its proxy has no TLS for tunnels"));
            return;
        }
        if (!_tls.WalkCertificates(ours, theirs, callee, view, client)) return;
        record.Ok("tunnel", end, ("from", way.Endpoint.Tunnel), ("to", inner.Name));
        if (!LackedFilters.Pass(record, "inbound", view, $"{name}", inner, address.Port)) return;
        if (inner.Choose(address, call.ClientEnd, null, call.IsPlainHttp && inner.ReadsHttp(address.Port) ? call.Detected : []) is not { } chain)
        {
            record.Fail("inbound", "no filter chain", causes.Availability.Unconfigured(name, $"its listener {inner.Name} has no chain for {address}"));
            return;
        }
        if (_inbound.Walk(way, callee, chain, view, client) is { } target) _application.Walk(callee, view, target);
    }

    private static Problem WithoutEnd(PodRef callee, string why, string remedy) => Faults.Of(NoEnd, callee.ToString(), $"metadata.labels[{Labels.Tunnel}]",
        $"says that it accepts tunnels, {why}", $"{remedy}, or remove the label");
}
