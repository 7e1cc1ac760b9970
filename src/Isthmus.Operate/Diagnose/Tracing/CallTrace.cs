using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Tracing;

public enum HopStatus
{
    Ok,
    /// <summary>Not as one would wish, but calls get through.</summary>
    Warning,
    Failed,
    /// <summary>Nothing can be said: it belongs to nobody who could be asked.</summary>
    Unknown,
}

/// <summary>Something that was found out at a hop.</summary>
public sealed record Fact(string Name, string Value);

/// <summary>One step of a call's way.</summary>
/// <param name="Way">0: every call takes it. Otherwise the number of the way, from 1, that calls may take.</param>
/// <param name="Summary">What happens there, in a line.</param>
public sealed record Hop(string Name, int Way, HopStatus Status, string Summary, ValueList<Fact> Facts, Problem? Problem = null);

/// <summary>One of the ways that calls take behind the choice of an endpoint.</summary>
/// <param name="Percent">Its share of the calls; 0 when it is only for the case that others fail.</param>
public sealed record Way(string Title, int Percent);

/// <summary>One proxy's part in the call that was made.</summary>
public sealed record TimedHop(string Where, double Milliseconds, string What);

/// <summary>The call that was made for real.</summary>
/// <param name="Answered">The application answered, whatever it said.</param>
/// <param name="Status">The status of the answer; 0 when there was none or the call is no HTTP.</param>
/// <param name="Upstream">The address that the caller's proxy chose.</param>
public sealed record MadeCall(string What, bool Answered, int Status, double Milliseconds, string Upstream, string Flags, string Detail, ValueList<TimedHop> Times);

/// <summary>The whole way of a call, and where it goes wrong.</summary>
public sealed record CallTrace(string Client, string Cluster, string Target, ValueList<Hop> Hops, ValueList<Way> Ways, MadeCall? Call)
{
    /// <summary>The first hop that goes wrong; null when the call gets through.</summary>
    public Hop? Failure => Hops.FirstOrDefault(hop => hop.Status == HopStatus.Failed);

    public bool Succeeds => Failure is null;
}
