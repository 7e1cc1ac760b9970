using System.Text.Json;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>What a proxy of a cluster said when it was asked to connect to a gateway of another network.</summary>
/// <param name="To">ADDRESS:PORT.</param>
/// <param name="Known">Whether the proxy answered.</param>
/// <param name="Error">Why it does not connect, or why it did not answer; empty when it connects.</param>
internal sealed record PackedReach(string Pod = "", string To = "", bool Connected = false, bool Known = true, string Error = "")
{
    internal static PackedReach Of(GatewayReach reach) => new(reach.Proxy, reach.Address, reach.Error.Length == 0, reach.IsKnown, reach.Error);

    /// <summary>What the proxy answered; null when it was not asked.</summary>
    /// <param name="text">The file; null when there is none.</param>
    /// <exception cref="HttpRequestException">It gave no answer.</exception>
    internal static StandInAnswer? Find(string? text, string pod, string to)
    {
        var all = text is null ? [] : StrictJson.Parse(text, PackJson.Default.IReadOnlyListPackedReach);
        if (all.FirstOrDefault(one => one?.Pod == pod && one.To == to) is not { } found) return null;
        return found.Known
            ? StandInAnswer.Ok(JsonSerializer.Serialize(new ReachReport(to, found.Connected, found.Error), ProxyReports.Default.ReachReport))
            : throw new HttpRequestException($"when the snapshot was made: {found.Error}");
    }
}
