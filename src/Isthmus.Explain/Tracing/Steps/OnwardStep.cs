using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Follows a call of the mesh through a gateway that is called as a workload, such as an egress gateway, and on from there: what decides about a
/// call from outside decides about it, too.</summary>
/// <param name="passed">The workloads of gateways through which the call has come.</param>
/// <param name="leave">Makes the step that leaves the gateway.</param>
internal sealed class OnwardStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, IReadOnlyList<string> passed,
    Func<TraceFacts, TraceRecord, TraceCauses, TracedCall, IReadOnlyList<string>, OutboundStep> leave)
{
    /// <param name="way">How the caller's proxy talks to the gateway; null without a proxy.</param>
    /// <param name="view">The proxy of the gateway.</param>
    /// <param name="client">The caller's proxy; null when it has none.</param>
    public void Walk(EndpointWay? way, Callee callee, ProxyView view, ProxyView? client)
    {
        var workload = WorkloadOf(callee);
        if (passed.Contains(workload))
        {
            record.Fail("gateway", $"{callee.Name} again", BackToItself(way, callee));
            return;
        }
        if (EntryOf(way, callee) is not var (entry, port))
        {
            record.Add("inbound", HopStatus.Unknown, $"{callee.Name} is a gateway, and no Service leads to its port {callee.Address.Port}", null);
            return;
        }
        var request = Sent(way);
        var gate = Gate.Of(facts.Beyond(callee.Name, entry, request), causes.Needs, view);
        var onward = new TracedCall(gate.Facts, view, null, port, call.Kind, callee.Address)
        {
            Admitted = request is null ? null : new(request, request, null, false),
        };
        if (Arrive(gate, way, callee, client, ref onward) is { } chain)
            leave(gate.Facts, gate.Record, gate.Causes, onward, [.. passed, workload]).WalkChain(view, chain);
        record.Append(gate.Record);
    }

    /// <summary>The chain of the gateway that takes the call, if its policies let it pass; null when the call ends there, and the record says why.</summary>
    private ChainView? Arrive(Gate gate, EndpointWay? way, Callee callee, ProxyView? client, ref TracedCall onward)
    {
        if (gate.View.Decisions.Bound(callee.Address.Port).FirstOrDefault(one => !one.IsInbound) is { } listener
            && !HeaderStep.Pass(gate.Record, causes, call, way, listener, callee.Cluster, callee.Pod)) return null;
        var arrival = way?.Tls is { } tls ? Encrypted(gate, way, tls, callee, client, onward) : gate.Entry.Accept(gate.View, ref onward);
        var identity = way is { IsMeshTls: true } ? client?.Certificate(way.Tls!.Certificate)?.Identity ?? "" : "";
        return arrival is not null && gate.Entry.Admit(arrival, ref onward, identity, call.ClientEnd) ? arrival.Chain : null;
    }

    /// <summary>The caller's proxy begins TLS: that of the mesh, or another that a DestinationRule asks for.</summary>
    private Arrival? Encrypted(Gate gate, EndpointWay way, TlsView tls, Callee callee, ProxyView? client, TracedCall onward)
    {
        if (gate.View.Decisions.Bound(callee.Address.Port).FirstOrDefault(one => !one.IsInbound) is not { } listener)
        {
            gate.Record.Fail("listener", $"nothing accepts port {callee.Address.Port}",
                gate.Causes.Entries.WithoutListener(onward.Port, callee.Address.Port));
            return null;
        }
        gate.Record.Ok("listener", listener.Name);
        var name = tls.SniFor(Sent(way)?.Authority ?? "");
        var chain = listener.Choose(callee.Address, call.ClientEnd, name.ToLowerInvariant(), way.Alpn);
        if (chain?.Tls is null && listener.EndsTls)
        {
            gate.Record.Fail("filter chain", $"none of {listener.Name}", gate.Causes.Entries.OtherServerName(onward, name,
                way.TlsBy.Length > 0 ? $"{way.TlsBy} in {causes.Config.At.Context}" : ""));
            return null;
        }
        return new TlsStep(facts, gate.Record, causes, call).Walk(way, callee, chain, listener, gate.View, client) ? new(gate.View, chain!) : null;
    }

    /// <summary>The request as the caller's proxy sends it; null for connections of which it knows none.</summary>
    private AskedRequest? Sent(EndpointWay? way) => !call.IsPlainHttp ? null
        : way?.Outbound.Route is { } route ? route.Sent(call.Request(), way.Cluster.Name) : call.Request();

    /// <summary>The Service by which the gateway is called, and its port; null when none leads there.</summary>
    private static (ServiceInCluster Service, int Port)? EntryOf(EndpointWay? way, Callee callee)
    {
        var called = way is null ? "" : ProxyTables.Split(way.Cluster.Name).Host;
        return (from service in callee.Cluster.Services
                where callee.Cluster.Behind(service).Contains(callee.Pod)
                from port in service.Spec.Ports
                where ServiceInCluster.TargetOf(port, callee.Pod) == callee.Address.Port
                orderby called.StartsWith($"{service.Metadata.Name}.{service.Metadata.Namespace}.", StringComparison.Ordinal) descending
                select ((ServiceInCluster, int)?)(new(callee.Cluster, service), port.Port)).FirstOrDefault();
    }

    private static string WorkloadOf(Callee callee)
    {
        var (kind, name) = ServicePods.OwnerOf(callee.Pod);
        return $"{callee.Cluster.Context} {callee.Pod.Metadata.Namespace} {kind} {name}";
    }

    /// <summary>A route for callers is one of the gateway as well.</summary>
    private Core.Problems.Problem BackToItself(EndpointWay? way, Callee callee)
    {
        var (rule, fqdn) = (way?.Outbound.Rule ?? "", way is null ? "" : ProxyTables.Split(way.Cluster.Name).Host);
        return Faults.Of(OutboundStep.Loop, causes.Config.Named("VirtualService", rule, callee.Name.ToString()),
            causes.Config.RouteField(rule, fqdn, "", "host"),
            $"sends calls that have come to the gateway {callee.Name} back to {fqdn}, which is that gateway: they go round until time is over",
            "write two routes: one with match.gateways [mesh] to the gateway, and one with match.gateways of the Gateway to where calls are meant to go");
    }

    /// <summary>What a walk at the gateway needs: facts as the gateway has them, and a record of its own.</summary>
    private sealed record Gate(TraceFacts Facts, TraceRecord Record, TraceCauses Causes, EntryStep Entry, ProxyView View)
    {
        public static Gate Of(TraceFacts facts, TraceNeeds needs, ProxyView view)
        {
            var (record, causes) = (new TraceRecord(), new TraceCauses(facts, needs));
            return new(facts, record, causes, new(facts, record, causes, new(facts, needs, record)), view);
        }
    }
}
