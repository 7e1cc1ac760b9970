using System.Net;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Addresses in the ranges of the caller's cluster that nothing has: that of a Pod or Service which is gone.</summary>
internal sealed class AddressCauses(TraceFacts facts, TraceNeeds needs)
{
    public const string Code = "ISM2168";

    private const int Largest = 12;

    /// <summary>Null where something has the address, where it is in no range of the cluster, and as long as that is not known.</summary>
    public Problem? Vacant(IPEndPoint address)
    {
        var (ip, context) = (address.Address, facts.Home.Context);
        if (facts.TakenAt is not null || needs.Place(ip) is not { IsTaken: false } place) return null;
        if (OfServices() is { } services && services.Contains(ip))
            return Faults.Of(Code, $"address {address}", "",
                $"is in the range of Services of {context}, and no Service there has {ip} now: one that is deleted and created again gets another address",
                "call the Service by its name; where the application does, it keeps an old answer of the DNS: restart it");
        return place.Range.Length == 0 ? null : Faults.Of(Code, $"address {address}", "",
            $"is in the range of Pods of {context} ({place.Range}), and no Pod has {ip} now: a Pod that takes the place of another one gets another address",
            "call a Service of the Pods by its name; where the application does, it keeps an old address: restart it");
    }

    /// <summary>The range of Services holds the addresses of all of them: as much of it as these show. Null when they show none, or there must be several
    /// ranges: one is never larger.</summary>
    private Cidr? OfServices()
    {
        var all = facts.Home.Services.Select(service => IPAddress.TryParse(service.Spec.ClusterIP, out var own) ? own : null)
            .Where(own => own?.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork).Select(own => Number(own!)).ToList();
        if (all.Count < 2) return null;
        var differing = all.Aggregate(0u, (sum, one) => sum | (one ^ all[0]));
        var length = System.Numerics.BitOperations.LeadingZeroCount(differing);
        return length < Largest ? null
            : Cidr.Parse($"{new IPAddress([(byte)(all[0] >> 24), (byte)(all[0] >> 16), (byte)(all[0] >> 8), (byte)all[0]])}/{length}");
    }

    private static uint Number(IPAddress address) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
}
