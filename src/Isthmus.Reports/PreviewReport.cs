using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>What objects would change (the body of POST <c>/debug/preview</c>).</summary>
/// <param name="Cluster">The cluster that would get them.</param>
/// <param name="Objects">Whole objects.</param>
public sealed record PreviewQuestion(string Cluster, IReadOnlyList<JsonObject> Objects);

/// <summary>What they would change for the proxies that are connected to a control plane.</summary>
/// <param name="Cluster">The cluster of the control plane.</param>
/// <param name="Istiod">Its Pod.</param>
/// <param name="Connected">How many proxies are connected.</param>
/// <param name="Groups">The proxies for which something would change, those with the same changes together.</param>
/// <param name="Unused">Objects that the mesh does not read, as <c>Kind namespace/name</c>.</param>
public sealed record PreviewReport(string Cluster = "", string Istiod = "", int Connected = 0, IReadOnlyList<PreviewGroup>? Groups = null,
    IReadOnlyList<string>? Unused = null);

/// <summary>Proxies for which the same would change.</summary>
/// <param name="More">How many resources are not listed.</param>
public sealed record PreviewGroup(IReadOnlyList<PreviewProxy>? Proxies = null, IReadOnlyList<PreviewResource>? Resources = null, int? More = null);

public sealed record PreviewProxy(string Cluster = "", string Namespace = "", string Pod = "", string Workload = "", string Kind = "");

/// <summary>A resource that would change.</summary>
/// <param name="Type"><c>listener</c>, <c>route</c>, <c>cluster</c> or <c>endpoints</c>.</param>
public sealed record PreviewResource(string Type = "", string Name = "")
{
    /// <summary>Null: it would be added.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public JsonObject? Before { get; init; }

    /// <summary>Null: it would be removed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public JsonObject? After { get; init; }
}
