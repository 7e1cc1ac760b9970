using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.Writes;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>create, update and patch, on objects and their subresources.</summary>
internal sealed class WriteEndpoint(ApiServerContext context, ObjectRegistry registry)
{
    internal async Task CreateAsync(Call call)
    {
        var request = call.Write("CreateOptions");
        var validation = call.FieldValidation("CreateOptions");
        _ = Accept.Of(call.Http.Request);
        var body = await BodyReader.ReadAsync(call.Http.Request, call.Stop);
        var o = BodyReader.Decode(body, BodyReader.MediaType(call.Http.Request), call.Kind, validation, call.Warnings);
        var result = await registry.CreateAsync(request, o, call.Stop);
        await ObjectResponses.ObjectAsync(call, 201, result.Object, context.Time.GetUtcNow());
    }

    internal async Task UpdateAsync(Call call)
    {
        if (call.Attributes.Subresource == "scale")
        {
            await UpdateScaleAsync(call);
            return;
        }
        var request = call.Write("UpdateOptions");
        var validation = call.FieldValidation("UpdateOptions");
        _ = Accept.Of(call.Http.Request);
        var body = await BodyReader.ReadAsync(call.Http.Request, call.Stop);
        var o = BodyReader.Decode(body, BodyReader.MediaType(call.Http.Request), call.Kind, validation, call.Warnings);
        var name = Metadata.Name(o);
        if (name.Length == 0) Metadata.Of(o)["name"] = name = call.Attributes.Name;
        if (name != call.Attributes.Name)
            throw ApiException.BadRequest($"the name of the object ({name}) does not match the name on the URL ({call.Attributes.Name})");
        CheckNamespace(call, o);
        var mayCreate = call.Kind.Strategy.CreateOnUpdate && call.Attributes.Subresource.Length == 0;
        var result = await registry.UpdateAsync(request, _ => (JsonObject)o.DeepClone(), mayCreate, call.Stop);
        await ObjectResponses.ObjectAsync(call, result.Created ? 201 : 200, result.Object, context.Time.GetUtcNow());
    }

    internal async Task PatchAsync(Call call)
    {
        var mediaType = BodyReader.MediaType(call.Http.Request);
        var isApply = mediaType == ObjectPatch.Apply;
        var request = call.Write("PatchOptions", isApply);
        var validation = call.FieldValidation("PatchOptions");
        _ = Accept.Of(call.Http.Request);
        ObjectPatch.CheckMediaType(mediaType, call.Kind);
        var body = await BodyReader.ReadAsync(call.Http.Request, call.Stop);
        if (call.Attributes.Subresource == "scale")
        {
            var scaled = await registry.UpdateAsync(request,
                o => Scales.Apply(call.Kind, o!, Patched(call, mediaType, body, Scales.Of(call.Kind, o!), Scales.KindOf(call.Kind), validation)), false,
                call.Stop);
            await ObjectResponses.ScaleAsync(call, scaled.Object, context.Time.GetUtcNow());
            return;
        }
        WriteResult result;
        if (isApply)
        {
            if (call.Query("fieldManager").Length == 0)
                throw ApiException.Invalid("meta.k8s.io", "PatchOptions", "", [FieldError.Required("fieldManager", "is required for apply patch")]);
            var applied = ServerSideApply.Decode(body, call.Kind, call.Attributes.Name, call.Attributes.Namespace);
            result = await registry.UpdateAsync(request,
                o => ServerSideApply.Merge(o, applied, call.Kind, request, call.Flag("force"), context.Time.GetUtcNow()),
                call.Attributes.Subresource.Length == 0, call.Stop);
        }
        else
        {
            result = await registry.UpdateAsync(request, o => Patched(call, mediaType, body, o!, call.Kind, validation), false, call.Stop);
        }
        await ObjectResponses.ObjectAsync(call, result.Created ? 201 : 200, result.Object, context.Time.GetUtcNow());
    }

    private async Task UpdateScaleAsync(Call call)
    {
        var request = call.Write("UpdateOptions");
        var body = await BodyReader.ReadAsync(call.Http.Request, call.Stop);
        var scale = BodyReader.Decode(body, BodyReader.MediaType(call.Http.Request), Scales.KindOf(call.Kind), call.FieldValidation("UpdateOptions"),
            call.Warnings);
        var result = await registry.UpdateAsync(request, o => Scales.Apply(call.Kind, o!, scale), false, call.Stop);
        await ObjectResponses.ScaleAsync(call, result.Object, context.Time.GetUtcNow());
    }

    /// <summary>The patched tree as a typed object again: fields that do not exist or have wrong types are found here.</summary>
    private static JsonObject Patched(Call call, string mediaType, byte[] patch, JsonObject current, KindDescriptor kind, string validation)
    {
        var patched = ObjectPatch.Patch(mediaType, patch, current, kind);
        var bytes = JsonText.ToBytes(patched);
        var problems = new List<string>();
        JsonObject o;
        try
        {
            o = SchemaDecoder.Decode(bytes, kind.Schema, problems);
        }
        catch (DecodeException e)
        {
            throw Invalid(bytes, e.Message);
        }
        GroupVersion.Normalize(o);
        if (kind.IsCustom) kind.Strategy.Prune(o, problems);
        if (problems.Count > 0 && validation == "Strict") throw Invalid(bytes, $"strict decoding error: {string.Join(", ", problems)}");
        if (validation == "Warn")
            foreach (var problem in problems)
                if (!call.Warnings.Contains(problem)) call.Warnings.Add(problem);
        if (Metadata.Name(o) != call.Attributes.Name)
            throw ApiException.BadRequest($"the name of the object ({Metadata.Name(o)}) does not match the name on the URL ({call.Attributes.Name})");
        if ((string?)o["kind"] != kind.Kind || (string?)o["apiVersion"] != kind.ApiVersion)
            throw ApiException.BadRequest(
                $"the patch changes kind or apiVersion: {(string?)o["apiVersion"]}, Kind={(string?)o["kind"]} where {kind.ApiVersion}, Kind={kind.Kind} is "
                    + $"served");
        CheckNamespace(call, o);
        return o;

        static ApiException Invalid(byte[] json, string why) => new(422, "Invalid",
            $" \"\" is invalid: patch: Invalid value: {JsonValue.Create(System.Text.Encoding.UTF8.GetString(json))!.ToJsonString(JsonText.Relaxed)}: {why}",
            new()
            {
                Causes = [new("FieldValueInvalid",
                    $"Invalid value: {JsonValue.Create(System.Text.Encoding.UTF8.GetString(json))!.ToJsonString(JsonText.Relaxed)}: {why}", "patch")]
            });
    }

    private static void CheckNamespace(Call call, JsonObject o)
    {
        var ns = Metadata.Namespace(o);
        if (call.Kind.Namespaced && ns.Length > 0 && ns != call.Attributes.Namespace)
            throw ApiException.BadRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
}
