using Google.Protobuf;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;
using System.Net.Sockets;

namespace Isthmus.Proxy.Agent;

/// <summary>
/// The secrets <c>default</c> and <c>ROOTCA</c> from an SDS server on a Unix socket, such as the agent of SPIRE
/// (https://istio.io/latest/docs/ops/integrations/spire/).
/// The CA of the mesh is not asked then. The last good secrets stay while the server is away.
/// </summary>
/// <param name="path">The socket.</param>
/// <param name="trustDomain">The trust domain of the mesh: of bundles for several trust domains, only that of this one is used.</param>
internal sealed partial class SocketSecrets(string path, string trustDomain, string node, TimeProvider time, Random random, ILogger log)
{
    internal static readonly GrpcMethod<DiscoveryRequest, DiscoveryResponse> Method = new(
        "envoy.service.secret.v3.SecretDiscoveryService", "StreamSecrets", DiscoveryRequest.Parser, DiscoveryResponse.Parser);

    private const string Certificate = "default", Root = Tls.TlsSettings.MeshRoots;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(5);

    private sealed record State(CertificateSecret? Certificate, RootSecret? Roots, DateTimeOffset Updated);

    private volatile State _state = new(null, null, default);

    /// <summary>Raised after a secret came.</summary>
    public event Action<string>? Changed;

    public CertificateSecret? FindCertificate(string name) => name == Certificate ? _state.Certificate : null;

    public RootSecret? FindRoots(string name) => name == Root ? _state.Roots : null;

    /// <summary>Whether it provides the secret of that name.</summary>
    public static bool Has(string name) => name is Certificate or Root;

    public IEnumerable<SecretView> View()
    {
        var state = _state;
        if (state.Certificate is { } certificate) yield return new(Certificate, "socket", state.Updated, certificate.ChainPem, "");
        if (state.Roots is { } roots) yield return new(Root, "socket", state.Updated, "", roots.Pem);
    }

    /// <summary>Keeps a stream open until <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        for (var failures = 0; !stop.IsCancellationRequested;)
        {
            var error = "the server ended the stream";
            try
            {
                await StreamAsync(() => failures = 0, stop).ConfigureAwait(false);
            }
            catch (Exception e) when (e is GrpcException or IOException or SocketException)
            {
                error = e.Message;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            var pause = TimeSpan.FromMilliseconds(Math.Min(LongestPause.TotalMilliseconds,
                FirstPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures++, 10))) * (0.5 + random.NextDouble() / 2));
            Ended(log, path, error, pause);
            await Task.Delay(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task StreamAsync(Action heard, CancellationToken stop)
    {
        // A socket has no name; the address is only that of HTTP.
        using var channel = new GrpcChannel(new(new Uri("http://localhost")) { Connect = async (_, token) => await ConnectAsync(token).ConfigureAwait(false) });
        var call = channel.Open(Method, new(), stop);
        await using (call.ConfigureAwait(false))
        {
            var request = Request();
            // SPIRE gives roots by trust domain to proxies that can read them, which it tells by the version of Envoy.
            request.Node = new()
            {
                Id = node, UserAgentName = "envoy", UserAgentBuildVersion = new() { Version = new() { MajorNumber = 1, MinorNumber = 38 } }
            };
            await call.WriteAsync(request, stop).ConfigureAwait(false);
            var version = "";
            while (await call.ReadAsync(stop).ConfigureAwait(false) is { } response)
            {
                heard();
                var answer = Request();
                answer.ResponseNonce = response.Nonce;
                try
                {
                    Take(response);
                    version = response.VersionInfo;
                }
                catch (ProblemException e)
                {
                    Refused(log, path, e.Message);
                    answer.ErrorDetail = new() { Code = (int)GrpcCode.InvalidArgument, Message = e.Message };
                }
                answer.VersionInfo = version;
                await call.WriteAsync(answer, stop).ConfigureAwait(false);
            }
        }
    }

    private static DiscoveryRequest Request() => new() { TypeUrl = TypeUrls.Secret, ResourceNames = { Certificate, Root } };

    private async ValueTask<Stream> ConnectAsync(CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), stop).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>All of a response, or nothing of it.</summary>
    /// <exception cref="ProblemException">Something of it cannot be used.</exception>
    private void Take(DiscoveryResponse response)
    {
        var (state, changed) = (_state, new List<string>());
        foreach (var resource in response.Resources)
        {
            var secret = Parse(resource.Value);
            switch (secret.Name, secret.TypeCase)
            {
                case (Certificate, Secret.TypeOneofCase.TlsCertificate):
                    state = state with
                    {
                        Certificate = CertificateSecret.Load(Certificate, Text(secret.TlsCertificate.CertificateChain), Text(secret.TlsCertificate.PrivateKey))
                    };
                    break;
                case (Root, Secret.TypeOneofCase.ValidationContext):
                    state = state with
                    {
                        Roots = RootSecret.Load(Root, RootsIn(secret.ValidationContext), hasRevocations: secret.ValidationContext.Crl is not null)
                    };
                    break;
                case (Certificate or Root, _):
                    throw new ProblemException($"secret {secret.Name}", $"is of kind {secret.TypeCase}");
                default:
                    continue;
            }
            changed.Add(secret.Name);
        }
        if (changed.Count == 0) return;
        _state = state with { Updated = time.GetUtcNow() };
        Got(log, path, string.Join(", ", changed));
        foreach (var name in changed) Changed?.Invoke(name);
    }

    /// <summary>Roots of other trust domains could vouch for workloads of this one if they were all trusted alike: they are left out.</summary>
    private string RootsIn(CertificateValidationContext context)
    {
        if (context.CustomValidatorConfig?.TypedConfig is not { } custom) return Text(context.TrustedCa);
        if (!custom.TypeUrl.EndsWith(".SPIFFECertValidatorConfig", StringComparison.Ordinal))
            throw new ProblemException($"secret {Root}", $"a validator of type {custom.TypeUrl} is not known");
        var bundles = Parsed(SPIFFECertValidatorConfig.Parser, custom.Value).TrustDomains;
        return bundles.FirstOrDefault(bundle => bundle.Name == trustDomain) is { } own ? Text(own.TrustBundle)
            : throw new ProblemException($"secret {Root}",
                $"has no roots of trust domain {trustDomain} (but of {string.Join(", ", bundles.Select(bundle => bundle.Name))})",
                "the trust domain of the mesh and of SPIRE must be the same");
    }

    private static Secret Parse(ByteString bytes) => Parsed(Secret.Parser, bytes);

    private static T Parsed<T>(MessageParser<T> parser, ByteString bytes)
        where T : class, IMessage<T>
    {
        try { return parser.ParseFrom(bytes); }
        catch (InvalidProtocolBufferException e) { throw new ProblemException("secret", $"cannot be read: {e.Message}", "", e); }
    }

    private static string Text(DataSource? source) => source?.SpecifierCase switch
    {
        DataSource.SpecifierOneofCase.InlineBytes => source.InlineBytes.ToStringUtf8(),
        DataSource.SpecifierOneofCase.InlineString => source.InlineString,
        _ => "",
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "Got {Secrets} from the SDS server at {Path}")]
    private static partial void Got(ILogger log, string path, string secrets);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A response of the SDS server at {Path} cannot be used: {Reason}")]
    private static partial void Refused(ILogger log, string path, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No secrets from the SDS server at {Path}: {Reason}; next attempt in {Pause}")]
    private static partial void Ended(ILogger log, string path, string reason, TimeSpan pause);
}
