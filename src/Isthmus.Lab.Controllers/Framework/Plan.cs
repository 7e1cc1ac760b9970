using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

public enum WriteVerb { Create, Patch, Delete }

/// <summary>One intended change of the cluster. A patch is a JSON merge patch; with a resourceVersion in it, it fails if
/// the object has changed since.</summary>
public sealed record Write(WriteVerb Verb, ResourceKind Kind, string Namespace, string Name, JsonNode? Body)
{
    public string? Subresource { get; init; }

    /// <summary>Deletes only the object with this uid.</summary>
    public string? Uid { get; init; }

    public string Propagation { get; init; } = "Background";

    public PatchType PatchType { get; init; } = PatchType.Merge;

    public static Write Create(ResourceKind kind, JsonObject body) =>
        new(WriteVerb.Create, kind, (string?)body["metadata"]?["namespace"] ?? "", (string?)body["metadata"]?["name"] ?? "", body);

    public static Write Patch(ResourceKind kind, KubeObject target, JsonObject patch) =>
        new(WriteVerb.Patch, kind, target.Metadata.Namespace, target.Metadata.Name, patch);

    public static Write Status(ResourceKind kind, KubeObject target, JsonObject status) =>
        Patch(kind, target, new JsonObject { ["status"] = status }) with { Subresource = "status" };

    public static Write Delete(ResourceKind kind, KubeObject target) =>
        new(WriteVerb.Delete, kind, target.Metadata.Namespace, target.Metadata.Name, null) { Uid = target.Metadata.Uid };
}

/// <summary>An Event to record about an object.</summary>
public sealed record Note(KubeObject About, ResourceKind Kind, string Type, string Reason, string Message)
{
    /// <summary>The action of an Event in the form of events.k8s.io, which the scheduler uses. Such an Event has a single
    /// time, and lists show it first.</summary>
    public string Action { get; init; } = "";

    public static Note Normal(ResourceKind kind, KubeObject about, string reason, string message) => new(about, kind, "Normal", reason, message);

    public static Note Warning(ResourceKind kind, KubeObject about, string reason, string message) => new(about, kind, "Warning", reason, message);
}

/// <summary>The result of a reconcile function: ordered writes, Events, and when to reconcile again even if nothing
/// changes.</summary>
public sealed record Plan
{
    public static readonly Plan Nothing = new();

    public IReadOnlyList<Write> Writes { get; init; } = [];

    public IReadOnlyList<Note> Notes { get; init; } = [];

    public TimeSpan? Again { get; init; }
}
