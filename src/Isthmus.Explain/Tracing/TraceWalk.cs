using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Explain.Tracing;

/// <summary>The call to make to find out the rest, once its destination is known.</summary>
internal sealed record WantedCall(IPEndPoint To, string Kind, string Authority, string Path, string Method, SentRequest Sent);

/// <summary>
/// Follows a call through the live configuration of all proxies that take part, until each path ends. It is a pure function
/// of <see cref="TraceFacts"/>: it names the facts that it lacks, so that the call can be walked again with more.
/// </summary>
internal sealed class TraceWalk
{
    private readonly TraceFacts _facts;
    private readonly TraceNeeds _needs;
    private readonly Causes _causes;
    private readonly TraceRecord _record = new();

    public TraceWalk(TraceFacts facts)
    {
        _facts = facts;
        _needs = new(facts);
        _causes = new(facts, _needs);
    }

    /// <summary>Proxies whose configuration is needed.</summary>
    public IReadOnlySet<PodRef> WantedProxies => _needs.Proxies;

    /// <summary>Namespaces whose Pods are needed.</summary>
    public IReadOnlySet<string> WantedNamespaces => _needs.Namespaces;

    /// <summary>Contexts of clusters whose control planes must report what they watch.</summary>
    public IReadOnlySet<string> WantedWatches => _needs.Watches;

    public WantedCall? WantedCall { get; private set; }

    /// <summary>The addresses of the name that is called.</summary>
    public IReadOnlyList<IPAddress> Addresses { get; private set; } = [];

    public bool IsComplete => _needs.IsEmpty;

    public CallTrace Run()
    {
        if (_facts.Entry is { } entry) return RunFrom(entry);
        var isCalling = new CallerStep(_facts, _record, _causes).Walk(out var sidecar);
        var call = new TracedCall(_facts, sidecar);
        if (isCalling)
        {
            var name = new NameStep(_facts, _record, _causes, sidecar);
            if (name.Walk(out call)) WalkOn(call);
            Addresses = name.Addresses;
        }
        return CallJudgement.Judge(call, _record.Trace(call));
    }

    /// <summary>A call from outside, which enters at a gateway.</summary>
    private CallTrace RunFrom(ClusterService entry)
    {
        var step = new EntryStep(_facts, _record, _causes, new TracedProxies(_facts, _needs, _record));
        if (step.Walk(entry, out var call) is { } arrival && step.Admit(arrival, ref call))
            new OutboundStep(_facts, _record, _causes, call, Endpoints(call)).WalkChain(arrival.View, arrival.Listener, arrival.Chain);
        return CallJudgement.Judge(call, _record.Trace(call));
    }

    private EndpointsStep Endpoints(TracedCall call)
    {
        var proxies = new TracedProxies(_facts, _needs, _record);
        var pods = new PodStep(_facts, _record, _causes, call, proxies);
        var strangers = new StrangerStep(_facts, _record, _causes);
        var ways = new WaysStep(_facts, _record, _causes, new(_facts, _record, _causes, call, proxies, pods, strangers), new(_facts, _record, _causes, pods),
            pods, strangers);
        return new(_facts, _record, _causes, call, new(_facts, _causes, call), ways, pods);
    }

    private void WalkOn(TracedCall call)
    {
        var endpoints = Endpoints(call);
        if (call.Sidecar is not { } sidecar || !new CaptureStep(_facts, _record, call).Walk())
        {
            endpoints.WalkPlain();
            return;
        }
        // An Envoy accepts connections before it knows whether they lead anywhere, and only its answers to HTTP tell what came of them.
        if (sidecar.CanCall && (call.IsPlainHttp || sidecar.Stranger.Length == 0))
            WantedCall = new(call.Destination, call.Kind, call.Authority, call.Path, call.Method, _facts.Sent);
        new OutboundStep(_facts, _record, _causes, call, endpoints).Walk(sidecar);
    }
}
