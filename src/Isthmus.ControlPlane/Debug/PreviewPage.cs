using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Preview;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Reports;
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
            return DebugPage.Of(
                new(owner.Cluster, owner.Pod, previewed.Connected, [.. previewed.Groups.Select(Report)], previewed.Unused),
                ControlPlaneReports.Default.PreviewReport);
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

    private static PreviewGroup Report(PreviewedProxies group) => new(
        [.. group.Proxies.Select(proxy => new PreviewProxy(proxy.Cluster, proxy.Namespace, proxy.Name, proxy.WorkloadName,
            proxy.Kind.ToString().ToLowerInvariant()))],
        [.. group.Resources.Take(MostResources).Select(resource => new PreviewResource(TypeOf(resource.TypeUrl), resource.Name)
        {
            Before = Body(resource.Before), After = Body(resource.After),
        })],
        group.Resources.Count > MostResources ? group.Resources.Count - MostResources : null);

    private static JsonObject? Body(XdsResource? resource) => resource is null ? null : ShownMessages.Show(resource.Body);

    private static string TypeOf(string url) =>
        url switch { TypeUrls.Listener => "listener", TypeUrls.Route => "route", TypeUrls.Cluster => "cluster", _ => "endpoints" };
}
