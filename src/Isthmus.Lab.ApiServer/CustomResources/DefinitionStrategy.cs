using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>CustomResourceDefinitions. As soon as one is stored as established, its kinds are served.</summary>
internal sealed class DefinitionStrategy(KindRegistry kinds, TimeProvider time) : KindStrategy
{
    public const string CleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

    public override bool HasGeneration => true;

    public override bool DeleteReturnsObject => true;

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        var names = spec.Ensure("names");
        if (Json.Text(names["kind"]) is { Length: > 0 } kind)
        {
            if (Json.Text(names["singular"]).Length == 0) names["singular"] = kind.ToLowerInvariant();
            if (Json.Text(names["listKind"]).Length == 0) names["listKind"] = kind + "List";
        }
        spec.Ensure("conversion").Default("strategy", "None");
    }

    public override void PrepareForCreate(JsonObject o, WriteContext context) => o["status"] = new JsonObject
    {
        ["conditions"] = null,
        ["acceptedNames"] = new JsonObject { ["plural"] = "", ["kind"] = "" },
        ["storedVersions"] = Json.Array(StorageVersions(o)),
    };

    public override void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (context.Subresource.Length > 0) return;
        var status = next.Ensure("status");
        var stored = Json.Texts(status["storedVersions"]);
        var missing = StorageVersions(next).Where(version => !stored.Contains(version)).ToValueList();
        if (!missing.IsEmpty) status["storedVersions"] = Json.Array([.. stored, .. missing]);
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => DefinitionValidation.Validate(o);

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        var (held, spec) = (old["spec"], next["spec"]);
        foreach (var error in Check.Unchanged("spec.group", held.At("group"), spec.At("group"))) yield return error;
        if (!DefinitionConditions.IsTrue(old, DefinitionConditions.Established)) yield break;
        foreach (var error in Check.Unchanged("spec.scope", held.At("scope"), spec.At("scope"))) yield return error;
        foreach (var name in (string[])["plural", "kind"])
            foreach (var error in Check.Unchanged($"spec.names.{name}", held.At("names", name), spec.At("names", name))) yield return error;
    }

    public override bool BeforeDelete(JsonObject o, WriteContext context)
    {
        // Its objects go first.
        var metadata = o.Ensure("metadata");
        var finalizers = Json.Texts(metadata["finalizers"]);
        if (!finalizers.Contains(CleanupFinalizer)) metadata["finalizers"] = Json.Array([.. finalizers, CleanupFinalizer]);
        DefinitionConditions.Set(o, DefinitionConditions.Terminating, true, "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon", time.GetUtcNow());
        return true;
    }

    public override void Stored(StoredObject? old, StoredObject? next)
    {
        var tree = (next ?? old)?.Parse();
        if (tree is not null) kinds.Replace(DefinitionKinds.ResourceOf(tree), next is null ? [] : DefinitionKinds.Of(tree));
    }

    private static ValueList<string> StorageVersions(JsonObject o) =>
        Json.Objects(o.At("spec", "versions")).Where(version => Json.Truth(version["storage"]) == true)
            .Select(version => Json.Text(version["name"])).ToValueList();
}
