using System.Buffers.Binary;
using System.Net.Security;
using System.Net.WebSockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Wire.Tls;

namespace Isthmus.Lab.ApiServer.Streaming.Nodes;

/// <summary>A node that joined the cluster: a kubelet, over HTTPS with the API server's client certificate.</summary>
/// <param name="authority">Its address and port.</param>
internal sealed class KubeletNode(string authority, HttpMessageInvoker http) : INode
{
    private const byte Data = 0, Error = 1;

    /// <summary>The client for all kubelets of a cluster. As an API server without <c>--kubelet-certificate-authority</c>, it does
    /// not verify them: most kubelets sign their certificate themselves.</summary>
    internal static HttpMessageInvoker Client(ApiServerSettings settings)
    {
        var pki = Path.Combine(settings.Directory, PkiNames.Directory, PkiNames.KubeletClient);
        return new(new SocketsHttpHandler
        {
            UseProxy = false,
            PooledConnectionLifetime = TimeSpan.Zero,
            SslOptions = new SslClientAuthenticationOptions
            {
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ClientCertificateContext = SslStreamCertificateContext.Create(X509Certificate2.CreateFromPemFile(pki + ".crt", pki + ".key"), null,
                    offline: true),
                CertificateChainPolicy = PeerChain.Unjudged(),
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
            },
        });
    }

    public Task<HttpResponseMessage> GetAsync(string path, CancellationToken stop) =>
        http.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri($"https://{authority}{path}")), stop);

    public Task<ChannelSocket> OpenChannelsAsync(string path, CancellationToken stop) => OpenAsync(path, [ChannelProtocol.V5, ChannelProtocol.V4], stop);

    public async Task<(NodeTunnel? Tunnel, string Error)> OpenTunnelAsync(string path, int port, CancellationToken stop)
    {
        var channels = await OpenAsync($"{path}?port={port}", [ChannelProtocol.V4], stop);
        try
        {
            // Each channel begins with the number of its port.
            for (var opened = 0; opened < 2; opened++)
            {
                if (await channels.ReceiveAsync(stop) is not { Bytes.Length: 2 } first || BinaryPrimitives.ReadUInt16LittleEndian(first.Bytes.Span) != port)
                {
                    throw new IOException("the kubelet did not open the port's channels");
                }
            }
            return (new(new PortStream(channels), () => { }), "");
        }
        catch
        {
            channels.Dispose();
            throw;
        }
    }

    private async Task<ChannelSocket> OpenAsync(string path, string[] protocols, CancellationToken stop)
    {
        var socket = new ClientWebSocket();
        foreach (var protocol in protocols) socket.Options.AddSubProtocol(protocol);
        socket.Options.KeepAliveInterval = TimeSpan.Zero;
        try
        {
            await socket.ConnectAsync(new Uri($"wss://{authority}{path}"), http, stop);
            return new ChannelSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The data channel of a forwarded port. A message on the error channel ends it.</summary>
    private sealed class PortStream(ChannelSocket channels) : Stream
    {
        private ReadOnlyMemory<byte> _rest;

        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (_rest.IsEmpty)
            {
                if (await channels.ReceiveAsync(cancellationToken) is not { } message) return 0;
                if (message.Channel == Error && message.Bytes.Length > 0) throw new TunnelException(Encoding.UTF8.GetString(message.Bytes.Span));
                if (message.Channel == Data) _rest = message.Bytes;
            }
            var count = Math.Min(buffer.Length, _rest.Length);
            _rest[..count].CopyTo(buffer);
            _rest = _rest[count..];
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            await channels.SendAsync(Data, buffer, cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) channels.Dispose();
            base.Dispose(disposing);
        }
    }
}
