using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.History;

namespace Isthmus.Explain.Tracing.Calls;

public enum HopStatus
{
    Ok,
    /// <summary>Not as configured, but calls get through.</summary>
    Warning,
    Failed,
    /// <summary>Nothing at this hop could be queried.</summary>
    Unknown,
}

/// <summary>A detail found at a hop.</summary>
public sealed record Fact(string Name, string Value);

/// <summary>One step on a call's path.</summary>
/// <param name="Way">0 when every call takes it. Otherwise the number of the path, from 1, that some calls take.</param>
/// <param name="Summary">What happens there, in one line.</param>
public sealed record Hop(string Name, int Way, HopStatus Status, string Summary, ValueList<Fact> Facts, Problem? Problem = null)
{
    /// <summary>It is as configured, but calls do not come so far: they, or connections to the endpoint, fail before.</summary>
    public bool IsUnreached { get; private init; }

    internal Hop Unreached() => Status != HopStatus.Ok || Name == "call" ? this
        : this with { Status = HopStatus.Unknown, Summary = $"{Summary} (not reached)", IsUnreached = true };
}

/// <summary>One of the paths that calls take after the proxy chooses an endpoint.</summary>
/// <param name="Percent">Its share of the calls; 0 when it is only a fallback.</param>
public sealed record Way(string Title, int Percent)
{
    /// <summary>Whether the path leads to the endpoint with that address.</summary>
    internal bool Names(string address)
    {
        if (address.Length == 0) return false;
        for (var at = Title.IndexOf(address, StringComparison.Ordinal); at >= 0; at = Title.IndexOf(address, at + 1, StringComparison.Ordinal))
        {
            // 10.1.0.5:80 is not in 110.1.0.5:80, nor in 10.1.0.5:8080.
            var (before, end) = (at == 0 ? ' ' : Title[at - 1], at + address.Length);
            if (!char.IsAsciiLetterOrDigit(before) && before is not ('.' or ':') && (end == Title.Length || !char.IsAsciiDigit(Title[end]))) return true;
        }
        return false;
    }
}

/// <summary>One proxy's part of the call that was made.</summary>
public sealed record TimedHop(string Where, double Milliseconds, string What);

/// <summary>A call that was really made.</summary>
/// <param name="Answered">Whether the application answered, with any status.</param>
/// <param name="Status">The status of the response; 0 without a response, or when the call is not HTTP.</param>
/// <param name="Upstream">The address that the caller's proxy chose.</param>
public sealed record MadeCall(string What, bool Answered, int Status, double Milliseconds, string Upstream, string Flags, string Detail,
    ValueList<TimedHop> Times)
{
    /// <summary>The trace gave up: the time that it allows was over, and the caller's proxy had not given up by itself.</summary>
    public bool IsOutOfTime { get; init; }

    /// <summary>The caller's proxy had a connection to <see cref="Upstream"/>.</summary>
    public bool IsConnected { get; init; }

    /// <summary>The caller's proxy answered by itself, and sent nothing on: a preflight of CORS, a redirect or a response that the configuration
    /// has.</summary>
    public bool IsAnsweredByCaller { get; init; }

    /// <summary>Whether the other end went on as a WebSocket; null when it was not asked to, or did not answer.</summary>
    public bool? IsUpgraded { get; init; }

    /// <summary>The status of a gRPC call; null without one.</summary>
    public int? GrpcStatus { get; init; }

    /// <summary>Bytes of a TCP connection were taken for a request of HTTP, which they are not.</summary>
    public bool IsTakenForRequest { get; init; }

    /// <summary>What the other end of a TCP connection does: it speaks first, answers the data, or once the caller has ended its direction, closes, or says
    /// nothing; empty when it is not such a call, or nobody knows.</summary>
    public string Says { get; init; } = "";

    /// <summary>The connection was made, but no TLS handshake: what accepts it does not speak TLS, closes, or says
    /// nothing.</summary>
    public bool IsTlsRefused { get; init; }

    /// <summary>What the other end showed in the handshake of a call over TLS: its certificate, and those that came with it. The trace does not check
    /// them.</summary>
    public ValueList<X509Certificate2> Shown { get; init; }

    /// <summary>Clients that check certificates refuse what the other end showed.</summary>
    public bool IsUnchecked { get; init; }

    /// <summary>The response flags that say how a call failed. Two say nothing of it: <c>-</c>, and <c>DI</c>, by which a call was
    /// delayed on purpose.</summary>
    internal static IReadOnlyList<string> Failures(string flags) => [.. flags.Split(',').Where(flag => flag is not ("" or "-" or "DI"))];

    /// <summary>Whether flags say more than that the caller has left.</summary>
    internal static bool HasFailed(string flags) => Failures(flags).Any(flag => flag != "DC");

    /// <summary>Whether the caller's proxy gave the call one of Envoy's response flags.</summary>
    public bool HasFlag(string flag) => Flags.Split(',').Contains(flag);
}

/// <summary>What happens to calls of one address of a name that has several.</summary>
/// <param name="Hop">The hop that fails; empty when none does.</param>
/// <param name="Warnings">How many hops are not as configured, although calls get through.</param>
/// <param name="Call">The call that was made; null when no call was made.</param>
public sealed record AddressVerdict(string Address, bool Succeeds, string Hop, Problem? Problem, int Warnings, MadeCall? Call);

/// <summary>The whole path of a call, and where the call fails.</summary>
public sealed record CallTrace(string Client, string Cluster, string Target, ValueList<Hop> Hops, ValueList<Way> Ways, MadeCall? Call)
{
    /// <summary>The first hop that fails; null when the call gets through.</summary>
    public Hop? Failure => Hops.FirstOrDefault(hop => hop.Status == HopStatus.Failed);

    public bool Succeeds => Failure is null;

    /// <summary>Whether a call is known to have taken a path: it is the only one, or it leads to the endpoint that the call reached.</summary>
    internal bool Took(int way, MadeCall call) => Ways.Count == 1 || Ways[way - 1].Names(call.Upstream);

    /// <summary>The verdict on each address of a name that has several; empty when it has one. The hops are those of the address with the worst.</summary>
    public ValueList<AddressVerdict> Addresses { get; init; }

    /// <summary>The address that the hops are about; empty when the name has one.</summary>
    public string Address { get; init; } = "";

    /// <summary>How many addresses were not followed, because there are too many.</summary>
    public int Unfollowed { get; init; }

    /// <summary>What nobody may read and could explain a failure, one line for each cluster; empty when nothing is missing.</summary>
    public ValueList<string> Unread { get; init; }

    /// <summary>What changed shortly before a call that fails, and can be the reason; the latest first.</summary>
    public ValueList<MeshChange> Changes { get; init; }

    /// <summary>When the trace was made, to which the ages of changes refer.</summary>
    public DateTimeOffset At { get; init; }
}
