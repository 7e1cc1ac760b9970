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
internal sealed class PodStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, TracedProxies proxies, OnwardStep onward)
{
    /// <summary>A Service leads to a port of the proxy.</summary>
    internal const string ProxyPort = "ISM2111";

    private readonly TlsStep _tls = new(facts, record, causes, call);
    private readonly TunnelStep _tunnels = new(facts, record, causes, call, proxies);
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
        if (causes.Networks.LabelledElsewhere(cluster, pod) is { } odd) record.Warn("network", $"{address} is said to be in {their}", odd);
        if (way is { IsTunnelled: true })
        {
            _tunnels.Walk(way, callee, client);
            return;
        }
        if (ClusterObjects.Sidecar(pod) is null)
        {
            if (way is { IsMeshTls: true })
            {
                record.Fail("TLS", "mutual TLS of the mesh", causes.Tls.MeshTlsToPlain(way.DestinationRule, name),
                    (HopFacts.DestinationRuleFact, way.DestinationRule));
                return;
            }
            if (way?.Tls is null)
            {
                if (way is null || !InPlainText(way, cluster))
                    record.Ok("TLS", call.Kind == CallKinds.Tls ? "the application's own" : $"{HopFacts.PlainText}: the callee has no sidecar");
            }
            else if (!Originate(way)) return;
            record.Add("application", HopStatus.Unknown, $"{address}: its Pod has no proxy that could say whether anything listens there", null);
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
        var capture = CaptureOf(pod);
        if (isAsked || (capture is not null && !IsCapturedInbound(capture, address.Port)))
        {
            if (way is { IsMeshTls: true } && isAsked)
                record.Fail("inbound", $"port {address.Port} is the proxy's own", Faults.Of("ISM2050", name.ToString(), "",
                    $"its proxy speaks no mesh TLS at port {address.Port}", "set trafficPolicy.tls.mode DISABLE for the port in a DestinationRule"));
            else if (way is { IsMeshTls: true })
                record.Fail("inbound", $"port {address.Port} is not captured", Bypassed(name, pod, address.Port, capture!, way.Through is not null));
            else _application.Walk(callee, view, address);
            return;
        }
        if (view.Decisions.Inbound is null && ClusterObjects.IsGateway(pod))
        {
            onward.Walk(way, callee, view, client);
            return;
        }
        if (view.Decisions.Inbound is not { } listener)
        {
            record.Fail("inbound", "no listener", causes.Availability.Unconfigured(name, "its proxy has no inbound listener"));
            return;
        }
        if (!LackedFilters.Pass(record, "inbound", view, $"{name}", listener, address.Port)) return;
        if (!HeaderStep.Pass(record, causes, call, way, listener, cluster, pod)) return;
        var chain = ChooseInbound(way, listener, address);
        if (!_tls.Walk(way, callee, chain, listener, view, client)) return;
        if (_inbound.Walk(way, callee, chain!, view, client) is { } target) _application.Walk(callee, view, target);
    }

    /// <summary>Requests go in plain text to a port that declares TLS. False where they may, or an answer shows that they may.</summary>
    public bool InPlainText(EndpointWay way, ClusterObjects at)
    {
        if (way.Tls is not null
            || causes.Origination.InPlainText(call, way.Cluster.Name, way.Outbound.IsHttp ? way.Outbound.Rule : null, at) is not { } problem) return false;
        const string Summary = "plain text, to a port that declares TLS";
        var made = facts.Call is { } one && one.Upstream == way.Endpoint.AddressText ? one : null;
        // Many servers that speak TLS answer 400 to a request without it. What does not listen says nothing of it.
        if (made is { Answered: true, Status: not 400 } && MadeCall.Failures(made.Flags).Count == 0) return false;
        if (made is null ? facts.Call is null && problem.Code != OriginationCauses.Nothing : !made.IsOutOfTime && !made.HasFlag("UF"))
            record.Fail("TLS", Summary, problem);
        else record.Add("TLS", HopStatus.Unknown, Summary, problem);
        return true;
    }

    /// <summary>TLS of its own that the caller's proxy begins with a server that has no proxy. False when no server can understand it.</summary>
    public bool Originate(EndpointWay way) => TlsStep.BeginsTwice(way, call)
        ? record.Fail("TLS", TlsStep.Originated(way), causes.Tls.Twice(way.TlsBy), (HopFacts.OriginFact, way.TlsBy))
        : record.Ok("TLS", TlsStep.Originated(way), (HopFacts.OriginFact, way.TlsBy));

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

    /// <summary>Annotations name the ports that the proxy does not get, or those that it gets.</summary>
    private static Problem Bypassed(PodRef name, Pod pod, int port, CaptureSettings capture, bool isBehindGateway)
    {
        var template = ServicePods.TemplateOf(pod);
        var (annotation, remedy) = capture.ExcludedInboundPorts.Contains(port) ? ("excludeInboundPorts", $"remove the port from the annotation of {template}")
            : ("includeInboundPorts", $"add {port} to the annotation of {template}, or remove the annotation");
        return Faults.Of("ISM2050", name.ToString(), $"metadata.annotations[traffic.sidecar.istio.io/{annotation}]",
            $"port {port} bypasses its proxy, so nothing terminates mesh TLS",
            remedy + (isBehindGateway ? ": only mesh TLS passes the gateway of its network"
                : ", or set trafficPolicy.tls.mode DISABLE in a DestinationRule, which cuts off Pods of other networks"));
    }

    private static bool IsCapturedInbound(CaptureSettings capture, int port) =>
        !capture.ExcludedInboundPorts.Contains(port) && (capture.InboundPorts.All || capture.InboundPorts.Items.Contains(port));

    /// <summary>What a Pod's init container captures; null: everything, as far as anybody knows.</summary>
    private static CaptureSettings? CaptureOf(Pod pod)
    {
        if (pod.Spec.InitContainers.FirstOrDefault(container => container.Name is "istio-init" or "istio-validation") is not { } init) return null;
        try
        {
            return CaptureFlags.Read([.. init.Command.Concat(init.Args).SkipWhile(word => !word.StartsWith('-'))], new Dictionary<string, string>());
        }
        catch (ProblemException)
        {
            // Flags of another proxy's init container count as absent.
            return null;
        }
    }
}
