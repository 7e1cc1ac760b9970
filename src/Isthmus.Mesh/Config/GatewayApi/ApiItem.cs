using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>
/// An object of the Gateway API as it is stored. API servers check it against its definition, which is the user's and may be of any version: a
/// field that is absent or of another type reads as its default, or as the value that allows least.
/// </summary>
/// <param name="Source">Its kind is the descriptor's name: Istio has a kind Gateway, too.</param>
internal readonly record struct ApiItem(ObjectRef Source, Field Spec, JsonObject Object)
{
    public string Namespace => Source.Namespace;

    public ObjectGeneration Generation => new(Metadata["generation"].Integer ?? 0, Metadata["uid"].Text);

    /// <summary>Unix seconds.</summary>
    public long CreatedAt => IstioConfig.CreatedAt(Object);

    public ValueMap<string> Labels => Metadata["labels"].TextMap;

    public ValueMap<string> Annotations => Metadata["annotations"].TextMap;

    private Field Metadata => Spec with { Node = Object["metadata"], Path = "metadata" };

    public static ApiItem Of(KindDescriptor kind, string cluster, JsonObject item)
    {
        var findings = new Findings(kind.Name);
        var meta = new Field(item["metadata"], "metadata", findings);
        return new(new(cluster, kind.Name, meta["namespace"].Text, meta["name"].Text), new(item["spec"], "spec", findings), item);
    }
}
