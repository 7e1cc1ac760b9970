using Google.Protobuf;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.EnvoyPlane.Modules;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// Passes the discovery stream of Envoy to the control plane and back, with the credentials of the workload. On the same stream it asks for the names that the
/// agent's DNS proxy answers, of which Envoy never hears.
/// </summary>
/// <param name="dial">Reaches the control plane.</param>
/// <param name="server">The control plane.</param>
/// <param name="takeNames">Receives the names; null: DNS is not captured.</param>
/// <param name="calls">The listeners that only the agent and Envoy know.</param>
/// <param name="filters">Makes what passes the configuration of plugins on one stream.</param>
internal sealed partial class DiscoveryForward(ControlPlaneDial dial, ServerAddress server, Action<NameTable>? takeNames, CallListeners calls,
    Func<ModuleForward> filters, ILogger log)
{
    private long _clusters, _listeners;

    /// <summary>Envoy has accepted clusters and listeners since it began.</summary>
    public bool IsConfigured => Interlocked.Read(ref _clusters) > 0 && Interlocked.Read(ref _listeners) > 0;

    public async Task ServeAsync(GrpcCall call, GrpcReader<DeltaDiscoveryRequest> requests, GrpcWriter<DeltaDiscoveryResponse> responses)
    {
        try
        {
            using var channel = dial.Open(server);
            var headers = await dial.HeadersAsync(call.Stop).ConfigureAwait(false);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(call.Stop);
            var upstream = channel.Open(AdsMethods.Delta, new() { Headers = headers }, end.Token);
            await using (upstream.ConfigureAwait(false))
            {
                using var stream = new Stream(upstream);
                using var envoy = new EnvoyEnd(responses);
                var plugins = filters();
                var calling = calls.RunAsync(envoy.WriteAsync, end.Token);
                var fetching = plugins.RunAsync(envoy.WriteAsync, end.Token);
                var asking = AskAsync(requests, stream, plugins, end.Token);
                var answering = AnswerAsync(stream, envoy, plugins, end.Token);
                var first = await Task.WhenAny(asking, answering, fetching, calling).ConfigureAwait(false);
                await end.CancelAsync().ConfigureAwait(false);
                await Task.WhenAll(asking, answering, fetching, calling).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await first.ConfigureAwait(false);
            }
        }
        // The token or the roots may not be there yet; Envoy tries again.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && !call.Stop.IsCancellationRequested)
        {
            Ended(log, server.ToString(), e.Message);
            throw new GrpcException(GrpcCode.Unavailable, e.Message, e);
        }
        catch (GrpcException e) when (!call.Stop.IsCancellationRequested)
        {
            Ended(log, server.ToString(), e.Message);
            throw;
        }
    }

    private async Task AskAsync(GrpcReader<DeltaDiscoveryRequest> requests, Stream stream, ModuleForward plugins, CancellationToken stop)
    {
        for (var isFirst = true; await requests.ReadAsync(stop).ConfigureAwait(false) is { } request; isFirst = false)
        {
            var heard = request.TypeUrl == TypeUrls.ExtensionConfig ? plugins.Heard(request) : calls.Heard(request);
            if (request.ErrorDetail is { } refused) Refused(log, request.TypeUrl, refused.Message);
            else if (heard?.ResponseNonce.Length > 0) Accepted(request.TypeUrl);
            if (heard is not null) await stream.WriteAsync(heard, stop).ConfigureAwait(false);
            // The first request has the node, without which the control plane answers nothing.
            if (isFirst && takeNames is not null) await stream.WriteAsync(new() { TypeUrl = TypeUrls.NameTable }, stop).ConfigureAwait(false);
        }
    }

    private void Accepted(string type)
    {
        if (type == TypeUrls.Cluster) Interlocked.Increment(ref _clusters);
        else if (type == TypeUrls.Listener) Interlocked.Increment(ref _listeners);
    }

    private async Task AnswerAsync(Stream stream, EnvoyEnd envoy, ModuleForward plugins, CancellationToken stop)
    {
        while (await stream.ReadAsync(stop).ConfigureAwait(false) is { } response)
        {
            if (response.TypeUrl == TypeUrls.NameTable) await TakeAsync(response, stream, stop).ConfigureAwait(false);
            else if (response.TypeUrl == TypeUrls.ExtensionConfig) await plugins.TakeAsync(response, stop).ConfigureAwait(false);
            else
            {
                calls.Told(response);
                await envoy.WriteAsync(response, stop).ConfigureAwait(false);
            }
        }
    }

    private async Task TakeAsync(DeltaDiscoveryResponse response, Stream stream, CancellationToken stop)
    {
        var answer = new DeltaDiscoveryRequest { TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce };
        try
        {
            foreach (var resource in response.Resources) takeNames?.Invoke(NameTable.Parser.ParseFrom(resource.Resource_.Value));
        }
        catch (InvalidProtocolBufferException e)
        {
            answer.ErrorDetail = new() { Code = (int)GrpcCode.InvalidArgument, Message = e.Message };
        }
        await stream.WriteAsync(answer, stop).ConfigureAwait(false);
    }

    /// <summary>A stream to the control plane, to which Envoy and the agent both write.</summary>
    private sealed class Stream(GrpcDuplex<DeltaDiscoveryRequest, DeltaDiscoveryResponse> call) : IDisposable
    {
        private readonly SemaphoreSlim _writing = new(1);

        public ValueTask<DeltaDiscoveryResponse?> ReadAsync(CancellationToken stop) => call.ReadAsync(stop);

        public async ValueTask WriteAsync(DeltaDiscoveryRequest request, CancellationToken stop)
        {
            await _writing.WaitAsync(stop).ConfigureAwait(false);
            try { await call.WriteAsync(request, stop).ConfigureAwait(false); }
            finally { _writing.Release(); }
        }

        public void Dispose() => _writing.Dispose();
    }

    /// <summary>Envoy's end of a stream, to which what needs no download and what does both write.</summary>
    private sealed class EnvoyEnd(GrpcWriter<DeltaDiscoveryResponse> responses) : IDisposable
    {
        private readonly SemaphoreSlim _writing = new(1);

        public async ValueTask WriteAsync(DeltaDiscoveryResponse response, CancellationToken stop)
        {
            await _writing.WaitAsync(stop).ConfigureAwait(false);
            try { await responses.WriteAsync(response, stop).ConfigureAwait(false); }
            finally { _writing.Release(); }
        }

        public void Dispose() => _writing.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Discovery stream to {Server} ended: {Reason}")]
    private static partial void Ended(ILogger log, string server, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Envoy rejected {Type}: {Reason}")]
    private static partial void Refused(ILogger log, string type, string reason);
}
