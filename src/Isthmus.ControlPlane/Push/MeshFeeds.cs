using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Locality = Isthmus.Mesh.Model.Locality;

namespace Isthmus.ControlPlane.Push;

/// <summary>Opens a feed of the engine for each proxy that connects, with what its caller has proven.</summary>
public sealed class MeshFeeds(PushEngine engine) : IXdsFeeds
{
    public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop) => Read(client.Node, out var error) is { } proxy
        ? ValueTask.FromResult<IXdsFeed>(engine.Connect(proxy with { Proof = (client.Call.Caller as Caller)?.Proof }))
        : throw new GrpcException(GrpcCode.InvalidArgument, error);

    /// <summary>What a proxy says of itself; null: <paramref name="error"/> says what is wrong with it.</summary>
    public static ProxyIdentity? Read(Node node, out string error)
    {
        var locality = node.Locality is { } given ? new Locality(given.Region, given.Zone, given.SubZone) : Locality.Unknown;
        var extensions = node.Extensions.Where(extension => !extension.Disabled)
            .Select(extension => new ProxyExtension(extension.Name, extension.Category, extension.TypeUrls.ToValueList()));
        var version = node.UserAgentBuildVersion?.Version is { } built
            ? new Version((int)Math.Min(built.MajorNumber, int.MaxValue), (int)Math.Min(built.MinorNumber, int.MaxValue))
            : null;
        return ProxyIdentity.TryRead(node.Id, node.Metadata, locality, out error, ProxySoftware.Of(node.UserAgentName, extensions, version)) is { } proxy
            ? proxy with { Program = ProgramOf(node) }
            : null;
    }

    private static string ProgramOf(Node node) =>
        node.UserAgentBuildVersion?.Version is { } built ? $"{node.UserAgentName} {built.MajorNumber}.{built.MinorNumber}.{built.Patch}"
        : node.UserAgentVersion.Length > 0 ? $"{node.UserAgentName} {node.UserAgentVersion}"
        : node.UserAgentName;
}
