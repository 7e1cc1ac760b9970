using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Explain.Tracing.Steps;

namespace Isthmus.Explain.Tracing;

/// <summary>
/// Follows a call through the live configuration of all proxies that take part, until each path ends. It is a pure function
/// of <see cref="TraceFacts"/>: it names the facts that it lacks, so that the call can be walked again with more.
/// </summary>
internal sealed class TraceWalk
{
    private readonly TraceFacts _facts;
    private readonly TraceNeeds _needs;
    private readonly TraceCauses _causes;
    private readonly TraceRecord _record = new();

    // As far as the steps have come.
    private TracedCall _call;
    private ProxyView? _sidecar;
    private Arrival? _arrival;

    public TraceWalk(TraceFacts facts)
    {
        _facts = facts;
        _needs = new(facts);
        _causes = new(facts, _needs);
        _call = new(facts, null);
    }

    /// <summary>Proxies whose configuration is needed.</summary>
    public IReadOnlySet<PodRef> WantedProxies => _needs.Proxies;

    /// <summary>Namespaces whose Pods are needed.</summary>
    public IReadOnlySet<string> WantedNamespaces => _needs.Namespaces;

    /// <summary>Contexts of clusters whose control planes must report what they watch.</summary>
    public IReadOnlySet<string> WantedWatches => _needs.Watches;

    /// <summary>Secrets and ConfigMaps that must be looked at.</summary>
    public IReadOnlySet<HolderRef> WantedHolders => _needs.Holders;

    /// <summary>Pods of which the kubelet must have said why they are not ready.</summary>
    public IReadOnlySet<PodRef> WantedChecks => _needs.Checks;

    /// <summary>Proxies of which their control plane must say whether they have what it has for them.</summary>
    public IReadOnlySet<PodRef> WantedSyncs => _needs.Syncs;

    /// <summary>Addresses that must be looked up in the caller's cluster.</summary>
    public IReadOnlySet<IPAddress> WantedPlaces => _needs.Places;

    public WantedCall? WantedCall { get; private set; }

    /// <summary>The addresses of the name that is called.</summary>
    public IReadOnlyList<IPAddress> Addresses { get; private set; } = [];

    public bool IsComplete => _needs.IsEmpty;

    /// <summary>The steps of a call in their order. Each says whether the call goes on to the next one. The last one chooses among endpoints, and follows
    /// each way that calls may take from there: <see cref="Ways"/>.</summary>
    private IReadOnlyList<Func<bool>> Steps => _facts.Entry is { } entry
        ? [() => Enter(entry), Admit, LeaveGateway]
        : [FindCaller, Resolve, Capture, LeaveCaller];

    public CallTrace Run()
    {
        foreach (var step in Steps)
            if (!step()) break;
        _call = _call with { Check = Check() };
        return new ExactFields(_facts).In(new PatchedFilters(_facts).In(CallJudgement.Judge(_call, _record.Trace(_call))));
    }

    /// <summary>What keeps the check that a proxy on the way made with an external authorizer from it.</summary>
    private Problem? Check() => _facts.Call is { } made && AskedAuthorizer.Of(_facts) is { } asked
        && new CheckStep(_needs, _call, (facts, record, causes, call) => Ways(facts, record, causes, call)).Walk(asked) is var (check, trace)
            ? CheckBlame.Of(asked, check, CallJudgement.Judge(check, trace), made) : null;

    private bool FindCaller()
    {
        var goesOn = new CallerStep(_facts, _record, _causes).Walk(out _sidecar);
        _call = new(_facts, _sidecar);
        return goesOn;
    }

    private bool Resolve()
    {
        var name = new NameStep(_facts, _record, _causes, _sidecar);
        var goesOn = name.Walk(out _call);
        Addresses = name.Addresses;
        if (ForwardProxies.Of(_call) is { } forward) _record.Warn(ForwardProxies.Hop, $"programs of {_facts.Client} may send the request to a proxy", forward);
        return goesOn;
    }

    /// <summary>What is not captured goes its way without the caller's proxy.</summary>
    private bool Capture()
    {
        if (IPAddress.IsLoopback(_call.Destination.Address))
        {
            new OwnPodStep(_facts, _record, _call).Walk();
            return false;
        }
        if (_call.Sidecar is not null && new CaptureStep(_facts, _record, _call).Walk()) return true;
        Ways(_facts, _record, _causes, _call).WalkPlain();
        return false;
    }

    private bool LeaveCaller()
    {
        var sidecar = _call.Sidecar!;
        if (sidecar.CanCall)
            WantedCall = new(_call.Destination, _call.Kind, _call.Authority, _call.Path, _call.Method, _facts.Sent)
            {
                IsWebSocket = _call.IsWebSocket,
            };
        Leaving(_facts, _record, _causes, _call).Walk(sidecar);
        return true;
    }

    /// <summary>A call from outside enters at a gateway.</summary>
    private bool Enter(ServiceInCluster entry) => (_arrival = Entry.Walk(entry, out _call)) is not null;

    private bool Admit() => Entry.Admit(_arrival!, ref _call);

    private bool LeaveGateway()
    {
        Leaving(_facts, _record, _causes, _call).WalkChain(_arrival!.View, _arrival.Chain);
        return true;
    }

    private EntryStep Entry => new(_facts, _record, _causes, new TracedProxies(_facts, _needs, _record));

    /// <summary>What follows the choice of an endpoint: through a gateway, by a Service's address, to a Pod, or to a stranger. Each ends at a Pod, or where
    /// nothing more is known.</summary>
    /// <param name="passed">The gateways through which the call has come, as workloads.</param>
    private static EndpointsStep Ways(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, params IReadOnlyList<string> passed)
    {
        var proxies = new TracedProxies(facts, causes.Needs, record);
        var pods = new PodStep(facts, record, causes, call, proxies, new(facts, record, causes, call, passed, Leaving));
        var strangers = new StrangerStep(facts, record, causes);
        var gateways = new GatewayStep(facts, record, causes, call, proxies, pods, strangers);
        var services = new ServiceStep(facts, record, causes, pods);
        var ways = new WaysStep(facts, record, causes, gateways, services, pods, strangers);
        return new(facts, record, causes, call, new(facts, causes, call), ways, pods);
    }

    /// <summary>How the call leaves a proxy.</summary>
    private static OutboundStep Leaving(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, params IReadOnlyList<string> passed) =>
        new(facts, record, causes, call, Ways(facts, record, causes, call, passed));
}
