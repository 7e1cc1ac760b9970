using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>What a walk has found so far: the hops, and the paths that calls take.</summary>
internal sealed class TraceRecord
{
    /// <summary>The network between two ends.</summary>
    public const string PacketsHop = "packets";

    /// <summary>What hops of a gateway on the way are called, whose names are those of the caller's proxy otherwise.</summary>
    private static readonly Dictionary<string, string> AtGateway = new()
    {
        ["listener"] = "gateway listener", ["filter chain"] = "gateway chain", ["policy"] = GatewayStep.PolicyHop, ["route"] = GatewayRoute,
        ["cluster"] = "gateway cluster", ["endpoints"] = "gateway endpoints",
    };

    /// <summary>The route of a gateway on the way.</summary>
    internal const string GatewayRoute = "gateway route";

    private readonly List<Hop> _hops = [];
    private readonly List<Way> _ways = [];
    private int _way;

    /// <summary>How many hops there are.</summary>
    public int Count => _hops.Count;

    /// <summary>How many paths the walk has begun.</summary>
    public int Ways => _ways.Count;

    public CallTrace Trace(TracedCall call) =>
        new(call.Facts.Entry is { } entry
            ? $"a client outside, through {entry.Service.Metadata.Name}.{entry.Service.Metadata.Namespace}"
            : $"{call.Facts.Client.Name}.{call.Facts.Client.Namespace}",
            call.Facts.Client.Context, call.ToString(), _hops.ToValueList(), _ways.ToValueList(), call.Facts.Call)
        {
            Unread = call.Facts.Clusters.Where(cluster => cluster.Unread.Any())
                .Select(cluster => $"{string.Join(", ", cluster.Unread)} in {cluster.Context}").ToValueList(),
        };

    public void Add(string name, HopStatus status, string summary, Problem? problem, params ReadOnlySpan<(string Name, string Value)> details)
    {
        var list = new List<Fact>();
        foreach (var (label, value) in details)
            if (value.Length > 0) list.Add(new(label, value));
        _hops.Add(new(name, _way, status, summary, list.ToValueList(), problem));
    }

    public bool Ok(string name, string summary, params ReadOnlySpan<(string Name, string Value)> details)
    {
        Add(name, HopStatus.Ok, summary, null, details);
        return true;
    }

    public bool Fail(string name, string summary, Problem problem, params ReadOnlySpan<(string Name, string Value)> details)
    {
        Add(name, HopStatus.Failed, summary, problem, details);
        return false;
    }

    public void Warn(string name, string summary, Problem problem, params ReadOnlySpan<(string Name, string Value)> details) =>
        Add(name, HopStatus.Warning, summary, problem with { Severity = Severity.Warning }, details);

    /// <summary>The hop of a NetworkPolicy that drops the packets; nothing when none does.</summary>
    public void Packets(Problem? dropped)
    {
        if (dropped is not null) Warn(PacketsHop, $"{dropped.Object} does not allow them", dropped);
    }

    /// <summary>The hop that names Pods behind a gateway's Service that are not gateways. There is none if all are.</summary>
    public void Strangers(ServiceInCluster gateway)
    {
        if (GatewayStrangers.Of(gateway.Service, gateway.Pods) is { } stranger)
            Warn("gateway Pods", "not all are gateways", stranger with { Object = $"{stranger.Object} in {gateway.Cluster.Context}" });
    }

    /// <summary>Begins a path that some calls take.</summary>
    public void BeginWay(string title, int percent)
    {
        _ways.Add(new(title, percent));
        _way = _ways.Count;
    }

    /// <summary>Returns to the part that every call takes.</summary>
    public void EndWay() => _way = 0;

    /// <summary>Adds to the path that leads to a gateway what a walk found beyond it. One path from there that works is enough for a call: what stops others
    /// is a warning.</summary>
    public void Append(TraceRecord beyond)
    {
        var taken = Enumerable.Range(1, beyond._ways.Count)
            .OrderBy(way => beyond._hops.Exists(hop => hop.Way == way && hop.Status == HopStatus.Failed)).FirstOrDefault();
        var isOnward = false;
        foreach (var hop in beyond._hops.Where(hop => hop.Way == 0 || hop.Way == taken))
        {
            if (hop.Way > 0 && !isOnward) isOnward = Ok("onward", beyond._ways[taken - 1].Title);
            _hops.Add(hop with { Way = _way, Name = hop.Way == 0 && AtGateway.TryGetValue(hop.Name, out var name) ? name : hop.Name });
        }
        foreach (var hop in beyond._hops.Where(hop => hop.Way > 0 && hop.Way != taken && hop.Problem is not null))
            _hops.Add(hop with
            {
                Way = _way, Status = hop.Status == HopStatus.Failed ? HopStatus.Warning : hop.Status,
                Summary = $"{hop.Summary} ({beyond._ways[hop.Way - 1].Title})",
            });
    }

    /// <summary>Adds what a walk to another end finds wrong, of which the path has several, as a warning: only a part of the calls goes there.</summary>
    public void Beside(string end, Action walk)
    {
        var from = _hops.Count;
        walk();
        var failed = _hops.Skip(from).FirstOrDefault(hop => hop is { Status: HopStatus.Failed, Problem: not null });
        _hops.RemoveRange(from, _hops.Count - from);
        if (failed is { Problem: { } problem }) Warn(CapacityStep.Hop, $"calls that go to {end} fail at: {failed.Name}", problem);
    }

    /// <summary>Turns failures from a hop on into warnings.</summary>
    public void Soften(int from)
    {
        for (var i = from; i < _hops.Count; i++)
            if (_hops[i].Status == HopStatus.Failed) _hops[i] = _hops[i] with { Status = HopStatus.Warning };
    }

    /// <summary>Connections fail on this way: what comes after the reason, or after its beginning, has not been seen to work.</summary>
    public void Unreach(int from)
    {
        for (var i = _hops.FindIndex(from, hop => hop.Problem is not null) is >= 0 and var reason ? reason + 1 : from; i < _hops.Count; i++)
            _hops[i] = _hops[i].Unreached();
    }

    /// <summary>Whether something is wrong at a hop or at one after it.</summary>
    public bool HasProblem(int from) => _hops.Skip(from).Any(hop => hop.Problem is not null);

    /// <summary>Takes the warning of a hop back, of which later hops say the cause.</summary>
    public void Settle(int at)
    {
        var hop = _hops[at];
        _hops[at] = hop with { Status = HopStatus.Ok, Summary = $"{hop.Summary}; {hop.Problem!.Message}", Problem = null };
    }

    /// <summary>Turns a warning into the failure, unless a later hop failed.</summary>
    public void FailUnlessLater(int at)
    {
        if (_hops.Skip(at).All(hop => hop.Status != HopStatus.Failed))
            _hops[at] = _hops[at] with { Status = HopStatus.Failed, Problem = _hops[at].Problem! with { Severity = Severity.Error } };
    }

    public static string NetworkText(string network) => network.Length == 0 ? "" : $", {network}";
}
