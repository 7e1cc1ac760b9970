using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Rbac;

namespace Isthmus.Mesh.Generate;

/// <summary>Matches of what filters found out about a request, as parts of a policy. The form that names the source is unknown to older Envoys, and newer ones
/// warn of the other.</summary>
internal static class MetadataRules
{
    public static Principal Caller(MetadataMatcher match, ProxySoftware software) =>
        software.NamesMetadataSources ? new() { SourcedMetadata = OfRequest(match) } : new() { Metadata = match };

    public static Permission Call(MetadataMatcher match, ProxySoftware software) =>
        software.NamesMetadataSources ? new() { SourcedMetadata = OfRequest(match) } : new() { Metadata = match };

    private static SourcedMetadata OfRequest(MetadataMatcher match) => new() { MetadataMatcher = match, MetadataSource = MetadataSource.Dynamic };
}
