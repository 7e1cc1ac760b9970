using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Threading.Channels;
using Google.Protobuf;
using Isthmus.Core.Names;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// Gives Envoy a listener for each traced call, and takes it back, on the discovery stream of the control plane, which never hears of it. It remembers what the
/// control plane sends, because a listener for a call is made of that.
/// </summary>
/// <param name="directory">Where the sockets of the listeners are.</param>
internal sealed class CallListeners(string directory)
{
    private readonly ConcurrentDictionary<string, Resource> _sent = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<string>> _asked = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, OpenListener> _open = new(StringComparer.Ordinal);
    private long _made;
    private volatile bool _isAble;
    private volatile Channel<DeltaDiscoveryResponse>? _stream;

    /// <summary>Envoy has what a listener of a call needs.</summary>
    public bool IsAble => _isAble;

    /// <summary>What of a request of Envoy the control plane must hear; null for nothing.</summary>
    public DeltaDiscoveryRequest? Heard(DeltaDiscoveryRequest request)
    {
        if (request.Node is { } node)
            _isAble = CallListener.Extensions.All(needed => node.Extensions.Any(extension => extension.Name == needed && !extension.Disabled));
        if (request.TypeUrl != TypeUrls.Listener) return request;
        if (request.ResponseNonce.StartsWith(AgentListeners.Calls, StringComparison.Ordinal))
        {
            if (_asked.TryRemove(request.ResponseNonce, out var asked)) asked.TrySetResult(request.ErrorDetail?.Message ?? "");
            return null;
        }
        var own = request.InitialResourceVersions.Keys.Where(name => name.StartsWith(AgentListeners.Calls, StringComparison.Ordinal)).ToList();
        if (own.Count == 0) return request;
        // What was left when the stream before ended.
        own.FindAll(name => !_open.ContainsKey(name)).ForEach(Remove);
        var rest = request.Clone();
        own.ForEach(name => rest.InitialResourceVersions.Remove(name));
        return rest;
    }

    /// <summary>Remembers the listeners of an answer of the control plane.</summary>
    public void Told(DeltaDiscoveryResponse response)
    {
        if (response.TypeUrl != TypeUrls.Listener) return;
        foreach (var gone in response.RemovedResources) _sent.TryRemove(gone, out _);
        foreach (var resource in response.Resources) _sent[resource.Name] = resource;
    }

    /// <summary>Sends what calls need, for as long as one stream lasts.</summary>
    public async Task RunAsync(Func<DeltaDiscoveryResponse, CancellationToken, ValueTask> send, CancellationToken stop)
    {
        var stream = Channel.CreateUnbounded<DeltaDiscoveryResponse>();
        _stream = stream;
        try
        {
            await foreach (var answer in stream.Reader.ReadAllAsync(stop).ConfigureAwait(false)) await send(answer, stop).ConfigureAwait(false);
        }
        finally
        {
            if (_stream == stream) _stream = null;
            stream.Writer.TryComplete();
            // Nobody answers any more.
            foreach (var nonce in _asked.Keys)
                if (_asked.TryRemove(nonce, out var asked)) asked.TrySetResult("the discovery stream ended");
        }
    }

    /// <returns>The listener for a call.</returns>
    /// <exception cref="IOException">No listener could be opened; the message says why.</exception>
    public async ValueTask<OpenListener> OpenAsync(IPEndPoint to, TimeSpan longest, CancellationToken stop)
    {
        if (!_isAble) throw new IOException($"this Envoy lacks what the call needs: {string.Join(", ", CallListener.Extensions)}");
        if (CallListener.Find(_sent.Values.Select(Read).OfType<Listener>(), to) is not { } listener)
            throw new IOException("the proxy has no outbound listener");
        var number = Interlocked.Increment(ref _made).ToString(CultureInfo.InvariantCulture);
        var open = new OpenListener(this, AgentListeners.Calls + number, Path.Combine(directory, $"t{number}"));
        CallListener.Become(listener, open.Name, open.Path, longest);
        _open[open.Name] = open;
        var asked = _asked[open.Name] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            var answer = new DeltaDiscoveryResponse { TypeUrl = TypeUrls.Listener, Nonce = open.Name };
            answer.Resources.Add(new Resource { Name = open.Name, Version = number, Resource_ = TypeNames.Pack(listener) });
            if (_stream?.Writer.TryWrite(answer) != true)
                throw new IOException("the agent gives Envoy a listener for the call on the discovery stream, and the control plane cannot be reached");
            if (await asked.Task.WaitAsync(stop).ConfigureAwait(false) is { Length: > 0 } refusal)
                throw new IOException($"Envoy did not take the listener for the call: {refusal}");
            return open;
        }
        catch
        {
            open.Dispose();
            throw;
        }
        finally
        {
            _asked.TryRemove(open.Name, out _);
        }
    }

    private void Close(OpenListener open)
    {
        _open.TryRemove(open.Name, out _);
        Remove(open.Name);
        try
        {
            File.Delete(open.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The directory goes with the Pod.
        }
    }

    /// <summary>Without a stream, Envoy keeps it, and names it at the beginning of the next one.</summary>
    private void Remove(string name)
    {
        var answer = new DeltaDiscoveryResponse { TypeUrl = TypeUrls.Listener, Nonce = $"{name}-" };
        answer.RemovedResources.Add(name);
        _stream?.Writer.TryWrite(answer);
    }

    /// <returns>Null when it cannot be read; Envoy then has rejected it.</returns>
    private static Listener? Read(Resource resource)
    {
        try
        {
            return Listener.Parser.ParseFrom(resource.Resource_.Value);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    /// <summary>A listener that Envoy has while a call lasts.</summary>
    internal sealed class OpenListener(CallListeners owner, string name, string path) : IDisposable
    {
        public string Name => name;

        public string Path => path;

        public void Dispose() => owner.Close(this);
    }
}
