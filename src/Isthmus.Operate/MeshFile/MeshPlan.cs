using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.MeshFile;

public enum ChangeKind { Create, Change, Remove }

/// <summary>The parts of a cluster, in the order in which they are created.</summary>
public static class Part
{
    public const string Certificates = "certificates";
    public const string Namespace = "namespace";
    public const string RemoteSecrets = "remote secrets";
    public const string ControlPlane = "control plane";
    public const string RemoteInstallation = "remote installation";
    public const string Gateway = "east-west gateway";
    /// <summary>The gateways of the control plane's installation.</summary>
    public const string Gateways = "gateways";
    public const string Nodes = "nodes";
    public const string Exposure = "exposed services";
    /// <summary>The control plane of another cluster, in the cluster that hosts it.</summary>
    public static string Hosted(string cluster) => $"control plane of {cluster}";

    public const string DnsZone = "DNS zone";
}

/// <summary>One object that does not match the file.</summary>
/// <param name="Cluster">Empty for files on this machine.</param>
/// <param name="Object">For example <c>Deployment istio-system/istiod</c>.</param>
/// <param name="Fields">What differs, for <see cref="ChangeKind.Change"/>.</param>
/// <param name="Why">The reason, if the object alone does not explain it.</param>
/// <param name="Removal">The object, if only its removal remains to be done.</param>
public sealed record Change(string Cluster, string Part, ChangeKind Kind, string Object, ValueList<FieldDifference> Fields, string Why = "",
    Removal? Removal = null)
{
    internal static Change Remove(string cluster, string part, Removal removal, string why) =>
        new(cluster, part, ChangeKind.Remove, removal.ToString(), [], why, removal);
}

/// <summary>How live clusters differ from a mesh file; empty when they match.</summary>
/// <param name="Notes">What the user should know and nothing acts on.</param>
public sealed record MeshPlan(ValueList<Change> Changes, ValueList<string> Notes)
{
    public bool IsEmpty => Changes.IsEmpty;

    public bool Touches(string cluster, string part) => Changes.Any(change => change.Cluster == cluster && change.Part == part);

    public JsonObject ToJson(MeshSpec mesh) => new()
    {
        ["mesh"] = mesh.Name,
        ["file"] = mesh.Source,
        ["changes"] = new JsonArray([.. Changes.Select(change => (JsonNode)ToJson(change))]),
        ["notes"] = new JsonArray([.. Notes.Select(note => (JsonNode)note)]),
    };

    private static JsonObject ToJson(Change change)
    {
        var item = new JsonObject
        {
            ["cluster"] = change.Cluster, ["part"] = change.Part, ["action"] = change.Kind.ToString().ToLowerInvariant(), ["object"] = change.Object,
        };
        if (!change.Fields.IsEmpty)
            item["fields"] = new JsonArray([.. change.Fields.Select(field => (JsonNode)new JsonObject
            {
                ["path"] = field.Path, ["wanted"] = field.Wanted, ["found"] = field.Found
            })]);
        if (change.Why.Length > 0) item["why"] = change.Why;
        return item;
    }
}
