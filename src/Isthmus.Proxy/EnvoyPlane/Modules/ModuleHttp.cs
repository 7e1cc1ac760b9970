using System.Globalization;
using System.Net;
using System.Net.Http;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>HTTP for downloads of modules, with limits.</summary>
internal sealed class ModuleHttp : IDisposable
{
    private const int MostRedirects = 5, PieceBytes = 64 * 1024;

    private readonly HttpClient _checked, _unchecked;
    private readonly IReadOnlyList<string> _insecure;

    /// <param name="resolver">Finds addresses.</param>
    /// <param name="insecure">The hosts, with their ports, whose certificates are not checked, and whose registries may do without TLS; <c>*</c>: all.</param>
    public ModuleHttp(INameResolver resolver, IReadOnlyList<string> insecure)
    {
        _insecure = insecure;
        var dial = new GuardedDial(resolver);
        (_checked, _unchecked) = (Client(dial, checks: true), Client(dial, checks: false));
    }

    public bool IsInsecure(Uri url) => _insecure.Contains("*") || _insecure.Contains(url.Authority);

    /// <exception cref="ModuleException">Nobody answers.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken stop)
    {
        try
        {
            return await (IsInsecure(request.RequestUri!) ? _unchecked : _checked).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop)
                .ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or AuthenticationException or IOException)
        {
            throw e.InnerException as ModuleException ?? new ModuleException($"{request.RequestUri!.GetLeftPart(UriPartial.Path)}: {Reason(e)}", e);
        }
    }

    /// <exception cref="ModuleException">It is larger than <paramref name="most"/> bytes, or ends early.</exception>
    public static async Task<byte[]> BodyAsync(HttpResponseMessage response, long most, CancellationToken stop)
    {
        if (response.Content.Headers.ContentLength > most) throw TooLarge(response, most);
        try
        {
            using var whole = new MemoryStream();
            var body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            var piece = new byte[PieceBytes];
            while (await body.ReadAsync(piece, stop).ConfigureAwait(false) is > 0 and var count)
            {
                if (whole.Length + count > most) throw TooLarge(response, most);
                whole.Write(piece, 0, count);
            }
            return whole.ToArray();
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new ModuleException($"{PathOf(response)}: {e.Message}", e);
        }
    }

    public void Dispose()
    {
        _checked.Dispose();
        _unchecked.Dispose();
    }

    /// <summary>Without the query, which may have a signature.</summary>
    public static string PathOf(HttpResponseMessage response) => response.RequestMessage?.RequestUri?.GetLeftPart(UriPartial.Path) ?? "";

    private static ModuleException TooLarge(HttpResponseMessage response, long most) =>
        new($"{PathOf(response)}: larger than {most.ToString("N0", CultureInfo.InvariantCulture)} bytes");

    private static string Reason(Exception e) => (e.InnerException ?? e).Message;

    private static HttpClient Client(GuardedDial dial, bool checks)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = dial.OpenAsync, UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null,
            MaxAutomaticRedirections = MostRedirects, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(10),
        };
        // Only for hosts that the one who configures the agent names.
        if (!checks) handler.SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true };
        return new(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }
}
