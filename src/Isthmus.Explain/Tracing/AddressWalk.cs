using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing;

/// <summary>The walk to one address of the name, repeated while its facts grow, and the call that is made meanwhile.</summary>
/// <param name="facts">Shared with the walks to the other addresses, except for the call.</param>
internal sealed class AddressWalk(TraceFacts facts, Random random)
{
    /// <summary>How many addresses of a name are followed: each is called, and the answer is for people.</summary>
    public const int MostAddresses = 8;

    public TraceFacts Facts { get; } = facts;

    /// <summary>The mark by which proxies recognize the call.</summary>
    public string Id { get; } = NewId(random);

    public TraceWalk Walk { get; private set; } = null!;

    public CallTrace Trace { get; private set; } = null!;

    public WantedCall? Called { get; private set; }

    /// <summary>The call under way; null when none is made.</summary>
    public Task<CallReport?>? Calling { get; set; }

    /// <summary>The mark of another call.</summary>
    public string NewId() => NewId(random);

    public AddressWalk Again()
    {
        Walk = new(Facts);
        Trace = Walk.Run();
        Called ??= Walk.WantedCall;
        return this;
    }

    /// <summary>The walks to the other addresses of the name.</summary>
    public IEnumerable<AddressWalk> Others() =>
        Walk.Addresses.Skip(1).Take(MostAddresses - 1).Select(address => new AddressWalk(Facts.At(address), random).Again());

    /// <summary>One verdict for each address; the worst decides, and its hops are shown.</summary>
    public static CallTrace Worst(IReadOnlyList<AddressWalk> walks)
    {
        var addresses = walks[0].Walk.Addresses;
        if (addresses.Count < 2) return walks[0].Trace;
        // The order is stable: of equal verdicts, the first address in the answer decides.
        var worst = walks.OrderByDescending(walk => Badness(walk.Trace)).First();
        return worst.Trace with
        {
            Addresses = walks.Select(Verdict).ToValueList(),
            Address = AddressOf(worst).ToString(),
            Unfollowed = addresses.Count - walks.Count,
        };

        IPAddress AddressOf(AddressWalk walk) => walk.Facts.Address ?? addresses[0];

        AddressVerdict Verdict(AddressWalk walk) =>
            new(AddressOf(walk).ToString(), walk.Trace.Succeeds, walk.Trace.Failure?.Name ?? "", walk.Trace.Failure?.Problem,
                walk.Trace.Hops.Count(hop => hop.Status == HopStatus.Warning), walk.Trace.Call);
    }

    private static string NewId(Random random) => random.NextInt64().ToString("x16", CultureInfo.InvariantCulture);

    private static int Badness(CallTrace trace) =>
        !trace.Succeeds ? 3 : trace.Hops.Any(hop => hop is { Status: HopStatus.Unknown, IsUnreached: false }) ? 2
            : trace.Hops.Any(hop => hop.Status == HopStatus.Warning) ? 1 : 0;
}
