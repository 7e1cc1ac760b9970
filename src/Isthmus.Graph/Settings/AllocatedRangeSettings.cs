using System.Net.Sockets;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Graph.Settings;

/// <summary>The ranges of allocated addresses, one for each family at most. Unlike in Istio, hosts get addresses of IPv6 only where the variable
/// names a range.</summary>
internal static class AllocatedRangeSettings
{
    private const string V4 = "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX", V6 = "PILOT_IP_AUTOALLOCATE_IPV6_PREFIX";

    /// <exception cref="ProblemException">A range cannot be used.</exception>
    public static ValueList<Cidr> Read(Func<string, string?> environment)
    {
        ValueList<Cidr> ranges =
        [
            .. Range(environment, V4, AddressFamily.InterNetwork, "240.240.0.0/16") is { } v4 ? [v4] : AddressAllocator.DefaultRanges,
            .. Range(environment, V6, AddressFamily.InterNetworkV6, "2001:2::/48") is { } v6 ? (Cidr[])[v6] : [],
        ];
        _ = new AddressAllocator(ranges); // It says what is wrong with them.
        return ranges;
    }

    private static Cidr? Range(Func<string, string?> environment, string name, AddressFamily family, string example) => environment(name) switch
    {
        null or "" => null,
        var text when Cidr.TryParse(text, out var range) && range.Base.AddressFamily == family => range,
        var text => throw new ProblemException(name, $"'{text}' is not a range of {(family == AddressFamily.InterNetwork ? "IPv4" : "IPv6")} addresses",
            $"use for example {example}"),
    };
}
