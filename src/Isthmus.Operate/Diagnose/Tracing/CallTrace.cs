using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Tracing;

public enum HopStatus
{
    Ok,
    /// <summary>Not as intended, but calls get through.</summary>
    Warning,
    Failed,
    /// <summary>Unknown: it belongs to nothing that could be queried.</summary>
    Unknown,
}

/// <summary>A detail found at a hop.</summary>
public sealed record Fact(string Name, string Value);

/// <summary>One step on a call's path.</summary>
/// <param name="Way">0: every call takes it. Otherwise the number of the path, from 1, that calls may take.</param>
/// <param name="Summary">What happens there, in one line.</param>
public sealed record Hop(string Name, int Way, HopStatus Status, string Summary, ValueList<Fact> Facts, Problem? Problem = null);

/// <summary>One of the paths that calls take once an endpoint is chosen.</summary>
/// <param name="Percent">Its share of the calls; 0 when it is only for the case that others fail.</param>
public sealed record Way(string Title, int Percent);

/// <summary>One proxy's part in the call that was made.</summary>
public sealed record TimedHop(string Where, double Milliseconds, string What);

/// <summary>The call that was made for real.</summary>
/// <param name="Answered">The application answered, whatever it said.</param>
/// <param name="Status">The status of the answer; 0 when there was none or the call is not HTTP.</param>
/// <param name="Upstream">The address that the caller's proxy chose.</param>
public sealed record MadeCall(string What, bool Answered, int Status, double Milliseconds, string Upstream, string Flags, string Detail, ValueList<TimedHop> Times);

/// <summary>The whole path of a call, and where it fails.</summary>
public sealed record CallTrace(string Client, string Cluster, string Target, ValueList<Hop> Hops, ValueList<Way> Ways, MadeCall? Call)
{
    /// <summary>The first hop that fails; null when the call gets through.</summary>
    public Hop? Failure => Hops.FirstOrDefault(hop => hop.Status == HopStatus.Failed);

    public bool Succeeds => Failure is null;
}
