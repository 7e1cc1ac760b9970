using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Preview;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>
/// POST <c>/debug/preview</c> with <c>{"cluster": ID, "objects": […]}</c>: what the objects would change for the connected proxies, if they were
/// in that cluster. Nothing is stored or served.
/// </summary>
internal sealed class PreviewPage(MeshPreview preview, HistoryOwner owner)
{
    private const int Longest = 8 << 20;

    /// <summary>Of each group of proxies: what a change of mesh settings alters in all resources says little more.</summary>
    private const int MostResources = 200;

    // A preview needs as much memory as a second mesh.
    private int _isBusy;

    internal async Task<JsonNode> AnswerAsync(HttpContext http)
    {
        var (cluster, objects) = await ReadAsync(http);
        if (Interlocked.Exchange(ref _isBusy, 1) == 1)
            throw new DebugPageException(StatusCodes.Status429TooManyRequests, "another preview is being made: try again");
        try
        {
            var previewed = await preview.OfAsync(cluster, objects, http.RequestAborted);
            return new JsonObject
            {
                ["cluster"] = owner.Cluster, ["istiod"] = owner.Pod, ["connected"] = previewed.Connected,
                ["groups"] = new JsonArray([.. previewed.Groups.Select(group => (JsonNode)Json(group))]),
                ["unused"] = new JsonArray([.. previewed.Unused.Select(name => (JsonNode)JsonValue.Create(name)!)]),
            };
        }
        catch (ProblemException e)
        {
            throw new DebugPageException(StatusCodes.Status400BadRequest, e.Message);
        }
        finally
        {
            Volatile.Write(ref _isBusy, 0);
        }
    }

    private static async Task<(string Cluster, IReadOnlyList<JsonObject> Objects)> ReadAsync(HttpContext http)
    {
        if (http.Request.ContentLength is null or > Longest)
            throw new DebugPageException(StatusCodes.Status413PayloadTooLarge, $"the body must be at most {Longest} bytes long");
        try
        {
            var body = await StrictJson.ReadAsync(http.Request.Body, Longest, http.RequestAborted) as JsonObject
                ?? throw new JsonException("it is not a JSON object");
            if (ObjectHead.Text(body, "cluster", "") is not { Length: > 0 } cluster || body["objects"] is not JsonArray objects)
                throw new JsonException("cluster or objects is missing");
            foreach (var (index, item) in objects.Index())
                ObjectHead.Check(item as JsonObject ?? throw new JsonException($"objects[{index}] is not a JSON object"), $"objects[{index}].");
            return (cluster, [.. objects.Select(item => (JsonObject)item!.DeepClone())]);
        }
        catch (JsonException e)
        {
            throw new DebugPageException(StatusCodes.Status400BadRequest, $"the body must be JSON with the fields cluster and objects: {e.Message}");
        }
    }

    private static JsonObject Json(PreviewedProxies group)
    {
        var line = new JsonObject
        {
            ["proxies"] = new JsonArray([.. group.Proxies.Select(proxy => (JsonNode)new JsonObject
            {
                ["cluster"] = proxy.Cluster, ["namespace"] = proxy.Namespace, ["pod"] = proxy.Name, ["workload"] = proxy.WorkloadName,
                ["kind"] = proxy.Kind.ToString().ToLowerInvariant(),
            })]),
            ["resources"] = new JsonArray([.. group.Resources.Take(MostResources).Select(resource => (JsonNode)new JsonObject
            {
                ["type"] = TypeOf(resource.TypeUrl), ["name"] = resource.Name, ["before"] = Body(resource.Before), ["after"] = Body(resource.After),
            })]),
        };
        if (group.Resources.Count > MostResources) line["more"] = group.Resources.Count - MostResources;
        return line;
    }

    private static JsonNode? Body(XdsResource? resource) => resource is null ? null : JsonNode.Parse(WireTypes.Json.Format(resource.Body));

    private static string TypeOf(string url) =>
        url switch { TypeUrls.Listener => "listener", TypeUrls.Route => "route", TypeUrls.Cluster => "cluster", _ => "endpoints" };
}
