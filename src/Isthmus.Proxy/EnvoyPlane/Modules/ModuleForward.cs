using System.Globalization;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>
/// The configuration of filters on its way to Envoy: in order, and apart from the rest, which does not wait for downloads. What could not be had is tried
/// again, and then sent without the control plane.
/// </summary>
internal sealed partial class ModuleForward(ModuleStore modules, TimeProvider time, ILogger log)
{
    /// <summary>What the nonces of answers begin with that the control plane has not sent.</summary>
    private const string OwnNonce = "agent-";

    private const int MostWaiting = 16;

    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(2);

    private readonly Channel<DeltaDiscoveryResponse> _waiting = Channel.CreateBounded<DeltaDiscoveryResponse>(MostWaiting);
    private readonly Dictionary<string, Resource> _failed = new(StringComparer.Ordinal);
    private TimeSpan _pause;
    private long _sent;

    /// <summary>How long after a failure the first further attempt is; each failure doubles it.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Takes an answer of the control plane; waits when many wait already.</summary>
    public ValueTask TakeAsync(DeltaDiscoveryResponse answer, CancellationToken stop) => _waiting.Writer.WriteAsync(answer, stop);

    /// <summary>What of a request of Envoy the control plane must hear; null for nothing.</summary>
    public DeltaDiscoveryRequest? Heard(DeltaDiscoveryRequest request)
    {
        foreach (var name in request.ResourceNamesUnsubscribe) modules.Release(name);
        if (!request.ResponseNonce.StartsWith(OwnNonce, StringComparison.Ordinal)) return request;
        if (request.ResourceNamesSubscribe.Count == 0 && request.ResourceNamesUnsubscribe.Count == 0) return null;
        var rest = request.Clone();
        (rest.ResponseNonce, rest.ErrorDetail) = ("", null);
        return rest;
    }

    public async Task RunAsync(Func<DeltaDiscoveryResponse, CancellationToken, ValueTask> send, CancellationToken stop)
    {
        var version = "";
        var next = _waiting.Reader.ReadAsync(stop).AsTask();
        while (true)
        {
            if (!next.IsCompleted && _failed.Count > 0)
            {
                using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
                await Task.WhenAny(next, Task.Delay(_pause, time, enough.Token)).ConfigureAwait(false);
                await enough.CancelAsync().ConfigureAwait(false);
                stop.ThrowIfCancellationRequested();
                if (!next.IsCompleted)
                {
                    _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
                    if (await AgainAsync(version, stop).ConfigureAwait(false) is { } again) await send(again, stop).ConfigureAwait(false);
                    continue;
                }
            }
            var answer = await next.ConfigureAwait(false);
            next = _waiting.Reader.ReadAsync(stop).AsTask();
            version = answer.SystemVersionInfo;
            foreach (var gone in answer.RemovedResources) _failed.Remove(gone);
            await LocalAsync(answer, isAgain: false, stop).ConfigureAwait(false);
            await send(answer, stop).ConfigureAwait(false);
        }
    }

    /// <summary>What failed before, if some of it is there now.</summary>
    private async Task<DeltaDiscoveryResponse?> AgainAsync(string version, CancellationToken stop)
    {
        var answer = new DeltaDiscoveryResponse
        {
            TypeUrl = TypeUrls.ExtensionConfig, SystemVersionInfo = version, Nonce = OwnNonce + (++_sent).ToString(CultureInfo.InvariantCulture)
        };
        answer.Resources.AddRange(_failed.Values.Select(resource => resource.Clone()));
        await LocalAsync(answer, isAgain: true, stop).ConfigureAwait(false);
        foreach (var still in answer.Resources.Where(resource => _failed.ContainsKey(resource.Name)).ToList()) answer.Resources.Remove(still);
        if (answer.Resources.Count == 0) return null;
        _pause = FirstPause;
        return answer;
    }

    private async Task LocalAsync(DeltaDiscoveryResponse answer, bool isAgain, CancellationToken stop)
    {
        var made = await Task.WhenAll(answer.Resources.Select(resource => OneAsync(resource, stop))).ConfigureAwait(false);
        for (var i = 0; i < made.Length; i++)
        {
            var resource = answer.Resources[i];
            if (made[i].Failure is not { } failure)
            {
                if (_failed.Remove(resource.Name) && isAgain) Had(log, resource.Name);
            }
            else if (_failed.TryAdd(resource.Name, resource.Clone()) || !isAgain)
            {
                _failed[resource.Name] = resource.Clone();
                _pause = FirstPause;
                Failed(log, resource.Name, failure);
            }
            resource.Resource_ = made[i].Config;
        }
    }

    private async Task<ModuleConfigs.Made> OneAsync(Resource resource, CancellationToken stop)
    {
        try
        {
            return resource.Resource_ is { } body ? await ModuleConfigs.LocalAsync(body, modules, time, stop).ConfigureAwait(false) : new(new Any(), null);
        }
        // Envoy says what is wrong with it.
        catch (Exception e) when (ResourceException.IsFault(e))
        {
            return new(resource.Resource_, null);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Cannot fetch the module of {Plugin}; until then, failStrategy decides whether calls pass: {Reason}")]
    private static partial void Failed(ILogger log, string plugin, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Fetched the module of {Plugin}")]
    private static partial void Had(ILogger log, string plugin);
}
