using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Sends the datagrams of each client to one host of a cluster, and its answers back.</summary>
/// <param name="Choices">The first that matches the client decides.</param>
/// <param name="Otherwise">The cluster of all other clients; empty: none, and their datagrams are dropped.</param>
/// <param name="IdleTimeout">How long a client keeps its host without a datagram in either direction.</param>
internal sealed record UdpAction(string StatPrefix, ValueList<UdpChoice> Choices, string Otherwise, TimeSpan IdleTimeout)
{
    public string ClusterOf(IPEndPoint client)
    {
        foreach (var choice in Choices)
            if (choice.Matches(client.Port)) return choice.Cluster;
        return Otherwise;
    }
}

/// <summary>Clients whose port, as text, matches a pattern.</summary>
internal sealed class UdpChoice(Regex port, string cluster) : IEquatable<UdpChoice>
{
    public string Cluster => cluster;

    public bool Matches(int number) => port.IsMatch(number.ToString(CultureInfo.InvariantCulture));

    public bool Equals(UdpChoice? other) => other is not null && Pattern == other.Pattern && cluster == other.Cluster;

    public override bool Equals(object? obj) => Equals(obj as UdpChoice);

    public override int GetHashCode() => HashCode.Combine(Pattern, cluster);

    private string Pattern => port.ToString();
}
