using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Namespaces: they stay Terminating until the controller has emptied them and removed the finalizer.</summary>
internal sealed class NamespaceStrategy : ObjectStrategy
{
    public const string NameLabel = "kubernetes.io/metadata.name";

    public override bool DeleteReturnsObject => true;

    public override string? NameProblem(string name) => ObjectNames.LabelProblem(name);

    public override void Default(JsonObject o)
    {
        var metadata = o.Ensure("metadata");
        if (Json.Text(metadata["name"]) is { Length: > 0 } name) metadata.Ensure("labels")[NameLabel] = name;
    }

    public override void PrepareForCreate(JsonObject o, WriteContext context)
    {
        base.PrepareForCreate(o, context);
        var spec = o.Ensure("spec");
        var finalizers = Json.Texts(spec["finalizers"]);
        if (!finalizers.Contains("kubernetes")) spec["finalizers"] = Json.Array([.. finalizers, "kubernetes"]);
    }

    public override bool BeforeDelete(JsonObject o, WriteContext context)
    {
        o.Ensure("status")["phase"] = "Terminating";
        return MayRemove(o);
    }

    public override bool MayRemove(JsonObject o) => Json.Texts(o.At("spec", "finalizers")).IsEmpty;

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["phase"] = "Active" };
}
