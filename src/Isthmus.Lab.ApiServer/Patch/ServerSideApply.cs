using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>
/// Server-side apply: the applied configuration is merged into the object, fields that its manager applied before but no longer applies are removed unless
/// another manager owns them, and a value that another manager owns is changed only by force.
/// </summary>
internal static class ServerSideApply
{
    /// <exception cref="ApiException">The body is not a configuration of this kind.</exception>
    internal static JsonObject Decode(byte[] body, KindDescriptor kind, string name, string ns)
    {
        var tree = Parse(body);
        GroupVersion.Normalize(tree);
        var (apiVersion, kindName) = (Json.Text(tree["apiVersion"]), Json.Text(tree["kind"]));
        if (apiVersion.Length == 0 || kindName.Length == 0) throw ApiException.BadRequest($"invalid object type: {apiVersion}/, Kind={kindName}");
        if (apiVersion != kind.ApiVersion || kindName != kind.Kind)
            throw ApiException.BadRequest(
                $"the object provided ({apiVersion}, Kind={kindName}) does not match the request ({kind.ApiVersion}, Kind={kind.Kind})");
        var metadata = Metadata.Of(tree);
        var own = Json.Text(metadata["namespace"]);
        if (metadata.ContainsKey("managedFields") && metadata["managedFields"] is not null) throw ApiException.BadRequest("metadata.managedFields must be nil");
        var given = metadata["name"];
        if (given is JsonValue value && value.GetValueKind() is JsonValueKind.True or JsonValueKind.False or JsonValueKind.Number)
            throw Untyped(kind, own, "", $".metadata.name: expected string, got &value.valueUnstructured{{Value:{given.ToJsonString()}}}");
        if (Json.Text(given) is { Length: > 0 } text && text != name)
            throw ApiException.BadRequest($"the name of the object ({text}) does not match the name on the URL ({name})");
        if (Json.Text(metadata["namespace"]) is { Length: > 0 } other && kind.Namespaced && other != ns)
            throw ApiException.BadRequest("the namespace of the provided object does not match the namespace sent on the request");
        metadata["name"] = name;
        return Typed(tree, kind, name, own);
    }

    private static JsonObject Parse(byte[] body)
    {
        try
        {
            return YamlText.Parse(Encoding.UTF8.GetString(body), "the patch") as JsonObject
                ?? throw ApiException.BadRequest("error decoding YAML: the patch is not an object");
        }
        catch (ProblemException e)
        {
            throw ApiException.BadRequest($"error decoding YAML: {e.Message}");
        }
    }

    private static JsonObject Typed(JsonObject tree, KindDescriptor kind, string name, string ns)
    {
        var problems = new List<string>();
        try
        {
            var o = SchemaDecoder.Decode(JsonText.ToBytes(tree), kind.Schema, problems);
            if (kind.IsCustom) kind.Strategy.Prune(o, problems);
            if (problems.Count > 0)
                throw Untyped(kind, ns, name,
                    string.Join("\n",
                        problems.Select(problem => problem.Replace("unknown field \"", ".", StringComparison.Ordinal).TrimEnd('"')
                            + ": field not declared in schema")));
            CheckDuplicates(kind, o, MergeType.Of(kind), "", name, ns);
            return o;
        }
        catch (DecodeException e)
        {
            throw Untyped(kind, ns, name, e.Message);
        }
    }

    /// <param name="current">Null when the object is to be created.</param>
    /// <returns>The merged object, with managedFields.</returns>
    internal static JsonObject Merge(JsonObject? current, JsonObject applied, KindDescriptor kind, WriteRequest request, bool force, DateTimeOffset now)
    {
        var type = MergeType.Of(kind);
        var fields = FieldChanges.Of(applied, type);
        var self = new FieldManager(request.Manager, true, kind.ApiVersion, request.Attributes.Subresource, ApiTime.Seconds(now), fields);
        if (current is null)
        {
            var created = (JsonObject)applied.DeepClone();
            Metadata.Of(created).Remove("resourceVersion");
            ManagedFields.Write(created, [self]);
            return created;
        }
        var managers = FieldManager.ReadAll(Metadata.Of(current)["managedFields"]);
        var last = managers.Find(self.IsSame);
        var others = managers.Where(manager => !manager.IsSame(self)).ToList();
        var merged = (JsonObject)TypedMerge.Merge(current, Body(applied, current), type)!;
        if (last is not null)
        {
            var owned = others.Aggregate(new FieldSet(), (all, manager) => all.Union(manager.Fields));
            TypedMerge.Remove(merged, last.Fields.Difference(fields), fields.Union(owned), type);
        }
        var changes = FieldChanges.Between(current, merged, type);
        var conflicts = others.Select(manager => (manager, Fields: manager.Fields.Intersection(changes.Set))).Where(conflict => !conflict.Fields.IsEmpty)
            .ToList();
        if (conflicts.Count > 0 && !force && !IsMigration(current, request, conflicts.Select(conflict => conflict.Fields), type))
            throw Conflict([.. conflicts.Select(conflict => (conflict.manager, conflict.Fields))]);
        var gone = changes.Removed.Union(conflicts.Aggregate(new FieldSet(), (all, conflict) => all.Union(conflict.Fields)));
        // An unchanged configuration keeps the time of its entry: nothing happened.
        if (last is not null && last.Fields.ToJson().ToJsonString() == fields.ToJson().ToJsonString() && changes.Set.IsEmpty && changes.Removed.IsEmpty)
            self = self with { Time = last.Time };
        ManagedFields.Write(merged, others.Select(manager => manager with { Fields = manager.Fields.Difference(gone) }).Append(self));
        if (Metadata.Text(applied, "resourceVersion") is { Length: > 0 } version) Metadata.Of(merged)["resourceVersion"] = version;
        return merged;
    }

    /// <summary>
    /// kubectl takes over what it applied itself from the client's side before: fields of the last-applied annotation that still have its
    /// values are not conflicts.
    /// </summary>
    private static bool IsMigration(JsonObject current, WriteRequest request, IEnumerable<FieldSet> conflicts, MergeType type)
    {
        var annotation = Json.Text(current.At("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"));
        if (request.Manager != "kubectl" || annotation.Length == 0) return false;
        try
        {
            var last = JsonText.ParseObject(Encoding.UTF8.GetBytes(annotation));
            var allowed = FieldChanges.Of(last, type).Difference(FieldChanges.Between(current, last, type).Set);
            return conflicts.All(conflict => conflict.Difference(allowed).IsEmpty);
        }
        catch (JsonException)
        {
            // The annotation does not contain JSON of an object, so it proves nothing.
            return false;
        }
    }

    /// <summary>The configuration without the fields that the server maintains, so that merging does not change them.</summary>
    private static JsonObject Body(JsonObject applied, JsonObject current)
    {
        var body = FieldChanges.Stripped(applied);
        body["apiVersion"] = current["apiVersion"]?.DeepClone();
        body["kind"] = current["kind"]?.DeepClone();
        return body;
    }

    private static void CheckDuplicates(KindDescriptor kind, JsonNode? value, MergeType type, string path, string name, string ns)
    {
        switch (type.Shape(value))
        {
            case MergeShape.Map:
                foreach (var (field, child) in (JsonObject)value!) CheckDuplicates(kind, child, type.Field(field), $"{path}.{field}", name, ns);
                break;
            case MergeShape.KeyedList or MergeShape.Set:
                var seen = new HashSet<string>(StringComparer.Ordinal);
                foreach (var item in (JsonArray)value!)
                {
                    var key = ItemKeys.Of(type, item);
                    var shown = new FieldSet();
                    shown.Child(key).Member = true;
                    if (!seen.Add(key)) throw Untyped(kind, ns, name, $"{path}: duplicate entries for key {shown.Paths().First()}");
                    CheckDuplicates(kind, item, type.Item, path + shown.Paths().First(), name, ns);
                }
                break;
        }
    }

    private static ApiException Conflict(IReadOnlyList<(FieldManager Manager, FieldSet Fields)> conflicts)
    {
        var causes = new List<StatusCause>();
        var texts = new List<string>();
        foreach (var (manager, fields) in conflicts)
        {
            var by = $"\"{manager.Name}\"{(manager.Subresource.Length > 0 ? $" with subresource \"{manager.Subresource}\"" : "")}"
                + $"{(manager.IsApply ? "" : $" using {manager.ApiVersion}")}";
            var paths = fields.Paths().ToList();
            causes.AddRange(paths.Select(path => new StatusCause("FieldManagerConflict", $"conflict with {by}", path)));
            texts.Add(paths.Count == 1 ? $"conflict with {by}: {paths[0]}" : $"conflicts with {by}:\n{string.Join("\n", paths.Select(path => "- " + path))}");
        }
        return new(409, "Conflict", $"Apply failed with {causes.Count} conflict{(causes.Count == 1 ? "" : "s")}: {string.Join("\n", texts)}",
            new() { Causes = causes });
    }

    private static ApiException Untyped(KindDescriptor kind, string ns, string name, string why) =>
        new(500, "", $"failed to create typed patch object ({ns}/{name}; {kind.Group}/{kind.Version}, Kind={kind.Kind}): {why}", withDetails: false);
}
