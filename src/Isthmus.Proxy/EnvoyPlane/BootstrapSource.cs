using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Core.Json;
using Isthmus.Proxy.Agent;
using Isthmus.Wire.Discovery;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// Asks the control plane what EnvoyFilters merge into the bootstrap. Envoy reads its bootstrap once, so it is not started before the answer: with a part of
/// its configuration missing, it would serve otherwise until its next start.
/// </summary>
internal sealed partial class BootstrapSource(AgentParts parts, ILogger log)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>A cluster that every proxy has.</summary>
    private const string Known = "BlackHoleCluster";

    /// <summary>Waits until there is an answer. A control plane that does not know the question, as Istio's, has none.</summary>
    public async Task<IReadOnlyList<JsonObject>> ReadAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                if (await AskAsync(stop).ConfigureAwait(false) is not { } patch) Unknown(log, parts.Settings.Discovery.ToString());
                else return [.. patch.Values.Select(text => (JsonObject)StrictJson.Parse(text)!)];
                return [];
            }
            // The token or the roots may not be there yet.
            catch (Exception e) when (e is GrpcException or IOException or UnauthorizedAccessException or InvalidProtocolBufferException or JsonException)
            {
                stop.ThrowIfCancellationRequested();
                Waits(log, parts.Settings.Discovery.ToString(), e.Message);
            }
            await Task.Delay(Pause, parts.Ports.Time, stop).ConfigureAwait(false);
        }
    }

    /// <summary>Questions are answered in their order, and each control plane knows the second one.</summary>
    private async Task<BootstrapPatch?> AskAsync(CancellationToken stop)
    {
        using var channel = parts.Dial.Open(parts.Settings.Discovery);
        var headers = await parts.Dial.HeadersAsync(stop).ConfigureAwait(false);
        var call = channel.Open(AdsMethods.Delta, new() { Headers = headers }, stop);
        await using (call.ConfigureAwait(false))
        {
            await call.WriteAsync(new() { TypeUrl = TypeUrls.BootstrapPatch, Node = OfEnvoy(parts.Node) }, stop).ConfigureAwait(false);
            await call.WriteAsync(new() { TypeUrl = TypeUrls.Cluster, ResourceNamesSubscribe = { Known } }, stop).ConfigureAwait(false);
            while (await call.ReadAsync(stop).ConfigureAwait(false) is { } response)
            {
                if (response.TypeUrl == TypeUrls.Cluster) return null;
                if (response.TypeUrl == TypeUrls.BootstrapPatch && response.Resources.FirstOrDefault() is { } found)
                    return BootstrapPatch.Parser.ParseFrom(found.Resource_.Value);
            }
        }
        throw new GrpcException(GrpcCode.Unavailable, "the control plane ended the stream");
    }

    /// <summary>The question is asked for Envoy, which cannot be asked yet what it has.</summary>
    private static Node OfEnvoy(Node agent)
    {
        var node = agent.Clone();
        node.UserAgentName = "envoy";
        node.UserAgentBuildVersion = null;
        node.Extensions.Clear();
        return node;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Server} is not a control plane of Isthmus, so it sends no patches of the bootstrap (BOOTSTRAP)")]
    private static partial void Unknown(ILogger log, string server);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Envoy waits for {Server}, which has to say what EnvoyFilters change of its bootstrap: {Reason}")]
    private static partial void Waits(ILogger log, string server, string reason);
}
