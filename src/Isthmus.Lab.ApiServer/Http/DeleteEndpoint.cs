using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.Writes;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>delete and deletecollection.</summary>
internal sealed class DeleteEndpoint(ApiServerContext context, ObjectRegistry registry, ReadEndpoint reads)
{
    internal async Task DeleteAsync(Call call)
    {
        var (request, delete) = await ReadOptionsAsync(call);
        var result = await registry.DeleteAsync(request, delete, call.Stop);
        if (!result.Removed || call.Kind.Strategy.DeleteReturnsObject)
        {
            await ObjectResponses.ObjectAsync(call, 200, result.Object, context.Time.GetUtcNow());
            return;
        }
        Responses.SendWarnings(call.Http, call.Warnings);
        var details = new JsonObject { ["name"] = result.Object.Name };
        if (call.Kind.Group.Length > 0) details["group"] = call.Kind.Group;
        details["kind"] = call.Kind.Plural;
        details["uid"] = result.Object.Uid;
        var status = new JsonObject
        {
            ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = "Success", ["details"] = details
        };
        await Responses.TreeAsync(call.Http, 200, status, Accept.Of(call.Http.Request) with { Form = OutputForm.Json });
    }

    internal async Task DeleteCollectionAsync(Call call)
    {
        var (request, delete) = await ReadOptionsAsync(call);
        var query = new ListQuery(call, context.Store);
        var page = await query.ReadAsync(call.Stop);
        var deleted = new List<StoredObject>();
        foreach (var item in page.Items)
        {
            var one = new WriteRequest
            {
                Attributes = request.Attributes with { Name = item.Name, Namespace = item.Namespace },
                Kind = request.Kind,
                DryRun = request.DryRun,
                Manager = request.Manager,
                Warnings = request.Warnings,
                Options = request.Options,
            };
            try
            {
                deleted.Add((await registry.DeleteAsync(one, delete, call.Stop)).Object);
            }
            catch (ApiException e) when (e.Code == 404)
            {
                // Somebody else deleted it in the meantime.
            }
        }
        await reads.WriteAsync(call, Accept.Of(call.Http.Request), deleted,
            new() { ["resourceVersion"] = page.Revision.ToString(CultureInfo.InvariantCulture) });
    }

    private static async Task<(WriteRequest, DeleteRequest)> ReadOptionsAsync(Call call)
    {
        var body = await BodyReader.ReadAsync(call.Http.Request, call.Stop);
        var options = body.Length == 0 ? [] : Decode(body, BodyReader.MediaType(call.Http.Request));
        if (options["dryRun"] is JsonArray dryRun && dryRun.Any(value => (string?)value == "All"))
            call.Http.Request.QueryString = call.Http.Request.QueryString.Add("dryRun", "All");
        var request = call.Write("DeleteOptions");
        foreach (var name in (string[])["gracePeriodSeconds", "propagationPolicy", "preconditions", "orphanDependents"])
            if (options[name] is { } value) request.Options[name] = value.DeepClone();
        var grace = Json.Whole(options["gracePeriodSeconds"]) ?? call.Number("gracePeriodSeconds");
        if (grace < 0) grace = 1;
        var orphan = (bool?)options["orphanDependents"] ?? (call.Query("orphanDependents") is { Length: > 0 } text ? text is "true" or "1" : null);
        var policy = (string?)options["propagationPolicy"] ?? call.Query("propagationPolicy");
        if (policy.Length == 0 && orphan is not null) policy = orphan.Value ? "Orphan" : "Background";
        if (policy is not ("" or "Background" or "Foreground" or "Orphan"))
            throw ApiException.Invalid("meta.k8s.io", "DeleteOptions", "",
                [FieldError.NotSupported("propagationPolicy", policy, ["Background", "Foreground", "Orphan"])]);
        var preconditions = options["preconditions"] as JsonObject;
        return (request, new(grace, policy, (string?)preconditions?["uid"], (string?)preconditions?["resourceVersion"]));
    }

    private static JsonObject Decode(byte[] body, string mediaType)
    {
        try
        {
            var json = mediaType switch
            {
                "application/vnd.kubernetes.protobuf" => Protobuf.ProtobufBody.ToJson(body, BuiltInTypes.Find("meta/v1.DeleteOptions")!),
                "application/yaml" => JsonText.ToBytes(Isthmus.Kubernetes.Yaml.YamlText.Parse(System.Text.Encoding.UTF8.GetString(body), "the request")
                    ?? new JsonObject()),
                _ => body,
            };
            return SchemaDecoder.Decode(json, BuiltInTypes.Find("meta/v1.DeleteOptions"), []);
        }
        catch (Exception e) when (e is JsonException or DecodeException or InvalidOperationException or Core.Problems.ProblemException)
        {
            throw ApiException.BadRequest($"the object provided is unrecognized (must be of type DeleteOptions): {e.Message}");
        }
    }
}
