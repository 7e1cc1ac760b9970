using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>Fetches a document of an issuer of tokens: JSON is UTF-8, whatever its content type says.</summary>
public interface IKeyClient
{
    /// <exception cref="HttpRequestException">It cannot be had; the message says why.</exception>
    Task<byte[]> GetAsync(Uri uri, TimeSpan timeout, CancellationToken stop);
}

/// <summary>
/// Fetches over HTTP. Whoever may create RequestAuthentications chooses the address, so servers on the loopback interface, link-local addresses (metadata
/// of cloud machines) and the ranges of BLOCKED_CIDRS_IN_JWKS_URIS are out of reach, and redirections are not followed. What counts is the address
/// that is called, not the name.
/// </summary>
public sealed class KeyClient : IKeyClient, IDisposable
{
    private const int MostBytes = 1 << 20;

    // Most meshes ask no issuer, so the roots of the machine are read for the first request.
    private readonly Lazy<HttpClient> _client;
    private readonly Func<IPAddress, bool> _mayCall;

    /// <param name="blocked">More ranges that are out of reach.</param>
    public KeyClient(IReadOnlyList<Cidr> blocked)
        : this(address => !LocalAddresses.Contain(address) && !blocked.Any(range => range.Contains(address)))
    {
    }

    internal KeyClient(Func<IPAddress, bool> mayCall)
    {
        _mayCall = mayCall;
        _client = new(() =>
        {
            var handler = new SocketsHttpHandler
            {
                AllowAutoRedirect = false, ConnectCallback = ConnectAsync, PooledConnectionLifetime = TimeSpan.FromMinutes(1)
            };
            handler.SslOptions.CertificateChainPolicy = SystemRoots.Policy();
            return new(handler) { MaxResponseContentBufferSize = MostBytes, Timeout = Timeout.InfiniteTimeSpan };
        }, LazyThreadSafetyMode.PublicationOnly); // Roots that cannot be read are read again for the next request.
    }

    public async Task<byte[]> GetAsync(Uri uri, TimeSpan timeout, CancellationToken stop)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop);
        either.CancelAfter(timeout);
        try
        {
            using var response = await _client.Value.GetAsync(uri, either.Token).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.OK) throw new HttpRequestException($"{uri} answers with status {(int)response.StatusCode}");
            return await response.Content.ReadAsByteArrayAsync(either.Token).ConfigureAwait(false);
        }
        catch (ProblemException e)
        {
            throw new HttpRequestException($"{uri} cannot be asked: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new HttpRequestException($"{uri} does not answer in time", e);
        }
    }

    public void Dispose()
    {
        if (_client.IsValueCreated) _client.Value.Dispose();
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken stop)
    {
        var addresses = await System.Net.Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, stop).ConfigureAwait(false);
        var allowed = Array.FindAll(addresses, address => _mayCall(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address));
        if (allowed.Length == 0)
            throw new HttpRequestException(
                $"{context.DnsEndPoint.Host} is on the loopback interface, has a link-local address, or one in BLOCKED_CIDRS_IN_JWKS_URIS");
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, context.DnsEndPoint.Port, stop).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
