using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>What a walk has found so far: the hops, and the ways that calls take.</summary>
internal sealed class TraceRecord
{
    private readonly List<Hop> _hops = [];
    private readonly List<Way> _ways = [];
    private int _way;

    /// <summary>How many hops there are.</summary>
    public int Count => _hops.Count;

    /// <summary>How many ways were begun.</summary>
    public int Ways => _ways.Count;

    public CallTrace Trace(TracedCall call) => new($"{call.Facts.Client.Name}.{call.Facts.Client.Namespace}", call.Facts.Client.Context, call.ToString(), _hops.ToValueList(), _ways.ToValueList(), call.Facts.Call);

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

    /// <summary>Begins a way that some calls take.</summary>
    public void BeginWay(string title, int percent)
    {
        _ways.Add(new(title, percent));
        _way = _ways.Count;
    }

    /// <summary>What follows concerns every call again.</summary>
    public void EndWay() => _way = 0;

    /// <summary>Failures from a hop on become warnings.</summary>
    public void Soften(int from)
    {
        for (var i = from; i < _hops.Count; i++)
            if (_hops[i].Status == HopStatus.Failed) _hops[i] = _hops[i] with { Status = HopStatus.Warning };
    }

    /// <summary>A warning becomes the failure, unless a hop after it failed.</summary>
    public void FailUnlessLater(int at)
    {
        if (_hops.Skip(at).All(hop => hop.Status != HopStatus.Failed)) _hops[at] = _hops[at] with { Status = HopStatus.Failed, Problem = _hops[at].Problem! with { Severity = Severity.Error } };
    }

    public static string NetworkText(string network) => network.Length == 0 ? "" : $", {network}";
}
