using System.Net;
using Isthmus.Capture;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the callee: its proxy, if it has one, and its application.</summary>
internal sealed class PodStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, TracedProxies proxies)
{
    /// <summary>A Service leads to a port of the proxy.</summary>
    internal const string ProxyPort = "ISM2111";

    private readonly TlsStep _tls = new(facts, record, causes, call);
    private readonly InboundStep _inbound = new(facts, record, causes, call);
    private readonly ApplicationStep _application = new(record, causes, call);

    /// <param name="way">How the caller's proxy talks to it; null without a proxy: then in plain text, or as the
    /// application itself does.</param>
    /// <param name="client">The caller's proxy; null when it has none.</param>
    public void Walk(EndpointWay? way, Callee callee, ProxyView? client)
    {
        var (cluster, pod, address) = callee;
        var name = callee.Name;
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), cluster.NetworkOf(pod));
        if (way is { Endpoint.IsGateway: false } && cluster != facts.Home && own != their && own.Length > 0 && way.Endpoint.Address.Equals(address))
            record.Warn("network", $"{address} of {their} is called directly from {own}", causes.Networks.CalledDirectly(their, cluster));
        if (ClusterObjects.Sidecar(pod) is null)
        {
            if (way is { IsMeshTls: true })
                record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.MeshTlsToPlain(way.DestinationRule, name), ("destination rule", way.DestinationRule));
            else
            {
                record.Ok("TLS",
                    call.Kind == CallKinds.Tls ? "the application's own" : way?.Tls is null ? "plain text: the callee has no sidecar" : TlsStep.Originated(way),
                    (HopFacts.OriginFact, way?.Tls is null ? "" : way.DestinationRule));
                record.Add("application", HopStatus.Unknown, $"{address}: there is no proxy that can report whether it listens", null);
            }
            return;
        }
        if (proxies.View(name, "callee") is not { } view) return;
        var isAsked = IsAskedOfProxy(pod, address.Port);
        if (Ports.IsOfProxy(address.Port) && !isAsked && call.Host is { Services.Count: > 0 })
        {
            record.Fail("inbound", $"port {address.Port} is the proxy's own", Faults.Of(ProxyPort, name.ToString(), "spec.containers[*].ports",
                $"port {address.Port} belongs to the proxy of the Pod, so calls reach the proxy, and an application cannot listen there",
                "let the application listen on another port, and set targetPort of the Service to it"));
            return;
        }
        if (isAsked || !IsCapturedInbound(pod, address.Port))
        {
            if (way is { IsMeshTls: true } && isAsked)
                record.Fail("inbound", $"port {address.Port} is the proxy's own", Faults.Of("ISM2050", name.ToString(), "",
                    $"its proxy speaks no mesh TLS at port {address.Port}", "set trafficPolicy.tls.mode DISABLE for the port in a DestinationRule"));
            else if (way is { IsMeshTls: true })
                record.Fail("inbound", $"port {address.Port} is not captured",
                    Faults.Of("ISM2050", name.ToString(), "metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]",
                $"port {address.Port} bypasses its proxy, so nothing terminates mesh TLS",
                "remove the port from the annotation, or set trafficPolicy.tls.mode DISABLE in a DestinationRule"));
            else _application.Walk(callee, view, address);
            return;
        }
        if (view.Decisions.Inbound is not { } listener)
        {
            record.Fail("inbound", "no listener", causes.Availability.Unconfigured(name, "its proxy has no inbound listener"));
            return;
        }
        if (!LackedFilters.Pass(record, "inbound", view, $"{name}", listener, address.Port)) return;
        var chain = ChooseInbound(way, listener, address);
        if (!_tls.Walk(way, callee, chain, view, client)) return;
        if (_inbound.Walk(way, callee, chain!, view, client) is { } target) _application.Walk(callee, view, target);
    }

    private ChainView? ChooseInbound(EndpointWay? way, ListenerView listener, IPEndPoint address)
    {
        if (way?.Tls is { } tls) return listener.Choose(address, call.ClientEnd, tls.Sni.ToLowerInvariant(), way.Alpn);
        if (call.Kind == CallKinds.Tls) return listener.Choose(address, call.ClientEnd, facts.Target.Host, []);
        return listener.Choose(address, call.ClientEnd, null, call.IsPlainHttp && listener.ReadsHttp(address.Port) ? call.Detected : []);
    }

    /// <summary>Whether callers mean the proxy: its readiness, its metrics and the agent's status at their own ports, and all ports of a gateway, which has no
    /// application.</summary>
    private bool IsAskedOfProxy(Pod pod, int port) => Ports.IsOfProxy(port) && (ClusterObjects.IsGateway(pod)
        || (port is Ports.AgentStatus or Ports.ProxyReady or Ports.ProxyMetrics && call.Port == port));

    private static bool IsCapturedInbound(Pod pod, int port)
    {
        if (pod.Spec.InitContainers.FirstOrDefault(container => container.Name is "istio-init" or "istio-validation") is not { } init) return true;
        try
        {
            var settings = CaptureFlags.Read([.. init.Command.Concat(init.Args).SkipWhile(word => !word.StartsWith('-'))], new Dictionary<string, string>());
            return !settings.ExcludedInboundPorts.Contains(port) && (settings.InboundPorts.All || settings.InboundPorts.Items.Contains(port));
        }
        catch (ProblemException)
        {
            // Flags of another proxy's init container count as absent.
            return true;
        }
    }
}
