using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.EnvoyPlane;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Programs;

/// <summary>The data planes that an agent can have.</summary>
internal static class AgentPlanes
{
    /// <summary>Envoy where the Pod names its program, else the data plane of this process.</summary>
    public static IServedPlane Of(AgentParts parts) => parts.Settings.BinaryPath.Length > 0 ? new EnvoyProxy(parts) : Own(parts);

    private static OwnPlane Own(AgentParts parts)
    {
        var plane = DataPlane.Build(parts.Proxy, parts.Ports with { Resolver = new MarkedResolver(parts.Names) }, parts.Secrets, parts.Files.Logs, parts.Log);
        var admin = new AdminRoutes(plane) { Log = parts.Log, Names = parts.Table, Resolver = parts.Resolver };
        var sink = new SnapshotSink(plane.State, parts.Discovered, parts.Secrets, parts.TakeNames);
        string[] wildcards = [TypeUrls.Cluster, TypeUrls.Listener, .. parts.Table is null ? [] : new[] { TypeUrls.NameTable }];
        var settings = new XdsClientSettings(parts.Node, wildcards, () => parts.Dial.Open(parts.Settings.Discovery),
            parts.Dial.HeadersAsync) { Report = plane.Told };
        return new(plane, admin, new XdsClient(settings, sink, parts.Ports.Time, parts.Ports.Random, parts.Log.CreateLogger("xds")).RunAsync);
    }
}
