using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>TLS to an address: clients send no server name (SNI), by which a gateway would choose a server.</summary>
internal static class NamelessTls
{
    /// <summary>The server name that clients send for a host.</summary>
    public static string NameFor(string host) => IPAddress.TryParse(host, out _) ? "" : host;

    /// <summary>No server takes TLS without a name; null where the host is one, or a server takes any.</summary>
    /// <param name="owner">The Gateway, as problems name it.</param>
    /// <param name="field">That of the names.</param>
    /// <param name="names">The names that servers take.</param>
    public static Problem? Refused(string host, string owner, string field, IReadOnlyList<string> names) =>
        NameFor(host).Length > 0 || names.Count == 0 || names.Any(name => name is "*" or "") ? null
        : Faults.Of("ISM2055", owner, field,
            $"has {string.Join(", ", names)}, and a call of the address {host} has no server name (SNI): no server takes TLS without one, and the connection "
                + "is closed",
            names.FirstOrDefault(name => !name.StartsWith('*')) is { } name
                ? $"call https://{name}, and resolve it to the address where DNS does not: curl --resolve {name}:443:{host}"
                : "call a name that it has, and resolve it to the address where DNS does not (curl --resolve); or add a server for all names");
}
