using System.Globalization;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Threading.Channels;
using Google.Protobuf;
using Isthmus.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Serves the secrets of an agent to its Envoy (SDS), and sends them again when they change. What is not there yet comes when it is.</summary>
internal sealed partial class SecretServer(ISecretSource secrets, ILogger log)
{
    private readonly Dictionary<string, int> _asked = new(StringComparer.Ordinal);   // by how many streams; guarded by itself

    public async Task ServeAsync(GrpcCall call, GrpcReader<DiscoveryRequest> requests, GrpcWriter<DiscoveryResponse> responses)
    {
        var changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        void Changed(string name) => changes.Writer.TryWrite(true);
        secrets.Changed += Changed;
        var stream = new SecretStream(secrets);
        try
        {
            var next = requests.ReadAsync(call.Stop).AsTask();
            var change = changes.Reader.ReadAsync(call.Stop).AsTask();
            while (true)
            {
                if (await Task.WhenAny(next, change).ConfigureAwait(false) == next)
                {
                    if (await next.ConfigureAwait(false) is not { } request) return;
                    if (request.ErrorDetail is { } refused) Refused(log, string.Join(", ", request.ResourceNames), refused.Message);
                    Follow(stream, request.ResourceNames);
                    next = requests.ReadAsync(call.Stop).AsTask();
                }
                else
                {
                    await change.ConfigureAwait(false);
                    change = changes.Reader.ReadAsync(call.Stop).AsTask();
                }
                if (stream.Answer(name => Unserved(log, name)) is { } answer) await responses.WriteAsync(answer, call.Stop).ConfigureAwait(false);
            }
        }
        finally
        {
            secrets.Changed -= Changed;
            Follow(stream, []);
        }
    }

    /// <summary>Takes what a stream of Envoy asks for from now on. Envoy may have one for each resource that names a secret.</summary>
    private void Follow(SecretStream stream, IEnumerable<string> names)
    {
        lock (_asked)
        {
            var before = stream.Names;
            stream.Ask(names);
            List<string> wanted = [], forgotten = [];
            foreach (var name in stream.Names.Except(before))
            {
                if (!_asked.TryGetValue(name, out var count)) wanted.Add(name);
                _asked[name] = count + 1;
            }
            foreach (var name in before.Except(stream.Names))
            {
                if (--_asked[name] > 0) continue;
                _asked.Remove(name);
                forgotten.Add(name);
            }
            secrets.Forget(forgotten);
            secrets.Want(wanted);
        }
    }

    /// <summary>What one stream of Envoy asks for, and has.</summary>
    private sealed class SecretStream(ISecretSource secrets)
    {
        private readonly Dictionary<string, object> _sent = new(StringComparer.Ordinal);
        private long _version;

        public IReadOnlySet<string> Names { get; private set; } = new HashSet<string>();

        public void Ask(IEnumerable<string> names)
        {
            Names = names.ToHashSet(StringComparer.Ordinal);
            foreach (var gone in _sent.Keys.Where(name => !Names.Contains(name)).ToList()) _sent.Remove(gone);
        }

        /// <summary>All that Envoy asks for and is there, if it has not all of it in this version; else null.</summary>
        /// <param name="unserved">Told of a secret that Envoy must not get.</param>
        public DiscoveryResponse? Answer(Action<string> unserved)
        {
            var found = new List<(string Name, object Source)>();
            foreach (var name in Names)
            {
                if (secrets.FindCertificate(name) is { } certificate) found.Add((name, certificate));
                // It is not known which certificates of these roots are revoked. Envoy would accept them all.
                else if (secrets.FindRoots(name) is { HasRevocations: false } roots) found.Add((name, roots));
                else if (secrets.FindRoots(name) is not null) unserved(name);
            }
            if (found.TrueForAll(one => _sent.TryGetValue(one.Name, out var had) && ReferenceEquals(had, one.Source))) return null;
            var version = (++_version).ToString(CultureInfo.InvariantCulture);
            var answer = new DiscoveryResponse { TypeUrl = TypeUrls.Secret, VersionInfo = version, Nonce = version };
            foreach (var (name, source) in found)
            {
                answer.Resources.Add(TypeNames.Pack(Message(name, source)));
                _sent[name] = source;
            }
            return answer;
        }
    }

    /// <exception cref="GrpcException">The key cannot be used.</exception>
    private static Secret Message(string name, object source)
    {
        if (source is RootSecret roots) return new() { Name = name, ValidationContext = new() { TrustedCa = Inline(roots.Pem) } };
        var certificate = (CertificateSecret)source;
        try
        {
            var key = certificate.ExportKey();
            try
            {
                return new()
                {
                    Name = name,
                    TlsCertificate = new()
                    {
                        CertificateChain = Inline(certificate.ChainPem), PrivateKey = Inline(PemEncoding.WriteString("PRIVATE KEY", key) + "\n")
                    }
                };
            }
            finally
            {
                CryptographicOperations.ZeroMemory(key);
            }
        }
        catch (AuthenticationException e)
        {
            throw new GrpcException(GrpcCode.FailedPrecondition, e.Message, e);
        }
    }

    private static DataSource Inline(string text) => new() { InlineBytes = ByteString.CopyFromUtf8(text) };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Envoy refused the secret {Names}: {Reason}")]
    private static partial void Refused(ILogger log, string names, string reason);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Envoy does not get the roots {Name}: some of their certificates are revoked, and Envoy would not know which")]
    private static partial void Unserved(ILogger log, string name);
}
