using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Where a redirect leads callers inside of the mesh, and clients of gateways to names of the cluster. What is outside is not known.</summary>
internal static class RedirectTargets
{
    internal const string Code = "ISM2180";

    /// <param name="location">Where the redirect leads.</param>
    /// <param name="owner">The object with the route.</param>
    /// <param name="field">That of the redirect.</param>
    /// <returns>Null where calls may get through there.</returns>
    public static Problem? Dead(TracedCall call, string location, string owner, string field)
    {
        var facts = call.Facts;
        if (!Uri.TryCreate(location, UriKind.Absolute, out var to) || to.HostNameType != UriHostNameType.Dns || to.Scheme is not ("http" or "https"))
            return null;
        var name = to.IdnHost;
        var address = $"{to.Scheme}://{name}:{to.Port}";
        if (facts.Entry is not null)
        {
            return !name.EndsWith(".svc.cluster.local", StringComparison.Ordinal) || call.Authority.Split(':')[0] == name ? null
                : Dead("a name that only Pods can resolve, and clients of a gateway are outside",
                    "name in authority a host that the gateway serves, or route to the Service (destination) instead of the redirect");
        }
        if (facts.Host(name, facts.Client.Namespace) is not { } host)
        {
            // A cluster that could not be read may have it.
            return !IsOfMesh(facts, name) || facts.Clusters.Any(cluster => cluster.Error.Length > 0) ? null
                : Dead("and no Service or ServiceEntry has that name", "correct its authority, or create the Service");
        }
        if (DeclaredPort.Of(call with { Host = host, Port = to.Port }, facts.Home.Context) is not { } port)
        {
            return host.Services.Count == 0 ? null : Dead($"and {host.Services[0].Name} has no port {to.Port}", "correct its port (port, derivePort)");
        }
        return to.Scheme == "https" && port.Protocol.IsHttp()
            ? Dead($"and {port.Object}, {port.Field}, declares {port.Name} there: its proxies find no request in TLS",
                $"remove scheme from the redirect, or lead it to a port of TLS (authority, port); plain {port.Name} goes through mutual TLS of the mesh anyway")
            : to.Scheme == "http" && port.Protocol.IsTls()
            ? Dead($"and {port.Object}, {port.Field}, declares {port.Name} there: its proxies find no server name of TLS in a plain request",
                "set scheme: https in the redirect, or lead it to a port of HTTP")
            : null;

        Problem Dead(string why, string remedy) =>
            Faults.Of(Code, owner, field, $"sends requests to {address}, {why}: clients that follow get no answer", remedy);
    }

    /// <summary>Whether the name can only be one of a Service: others may be names of hosts outside.</summary>
    private static bool IsOfMesh(TraceFacts facts, string name) => name.Split('.') switch
    {
        [var only] => only != "localhost",
        [_, var ns] => facts.Home.LabelsOf(ns).Count > 0,
        [.., "svc"] or [.., "svc", "cluster", "local"] => true,
        _ => false,
    };
}
