using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>Passes connections from an address of this machine on to a port on a Pod's loopback address, as <c>kubectl port-forward</c>
/// does.</summary>
public sealed class PodForward : IDisposable
{
    private const int Buffer = 32 * 1024;

    private static readonly TimeSpan LastAnswer = TimeSpan.FromSeconds(10);

    private readonly ClusterAccess _access;
    private readonly string _namespace, _pod;
    private readonly int _port;
    private readonly Socket _listener;
    private readonly BackgroundTasks _connections;
    private readonly Action<string> _failed;

    /// <param name="at">Port 0 chooses a free one.</param>
    /// <param name="failed">Called with the reason why a connection could not be passed on.</param>
    /// <exception cref="ProblemException">The address cannot be listened on.</exception>
    public PodForward(ClusterAccess access, string ns, string pod, int port, IPEndPoint at, Action<string> failed)
    {
        (_access, _namespace, _pod, _port) = (access, ns, pod, port);
        _failed = failed;
        _connections = new((_, e) =>
        {
            if (e is not OperationCanceledException) failed(e.Message);
        });
        _listener = new(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _listener.Bind(at);
            _listener.Listen();
            Address = (IPEndPoint)_listener.LocalEndPoint!;
        }
        catch (SocketException e)
        {
            _listener.Dispose();
            throw new ProblemException($"port {at.Port}", $"cannot listen on {at}: {e.Message}", "choose another with --port, or 0 for a free one", e);
        }
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint Address { get; }

    public void Dispose() => _listener.Dispose();

    /// <summary>Passes connections on until it is stopped; then all end.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(stop);
                _connections.Start("connection", () => PassAsync(client, stop));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Nobody may connect any more while the last connections end.
            _listener.Close();
        }
        await _connections.WhenEndedAsync();
    }

    private async Task PassAsync(Socket client, CancellationToken stop)
    {
        using var near = new NetworkStream(client, ownsSocket: true);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await using var far = new PodPortStream(new ChannelSocket(await PodSocket.OpenAsync(_access, _namespace, _pod, $"portforward?ports={_port}",
            [ChannelProtocol.V4], ending.Token)));
        var (up, down) = (near.CopyToAsync(far, Buffer, ending.Token), far.CopyToAsync(near, Buffer, ending.Token));
        await Task.WhenAny(up, down);
        // The connection through the API server cannot be closed in one direction only: what the client has sent may still be answered.
        if (up.IsCompletedSuccessfully) await down.WaitAsync(LastAnswer, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ending.CancelAsync();
        await Task.WhenAll(up, down).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // The API server says why the port cannot be reached. Any other failure means that one end is gone.
        if (down.Exception?.InnerException is IOException { InnerException: null } refused) _failed(refused.Message);
    }
}
