using Isthmus.Wire.Grpc;
using Isthmus.Wire.Samples.EchoBasic;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Isthmus.Samples.Echo;

/// <summary>gRPC of echo-basic. The third method of its service is not implemented, on purpose.</summary>
internal static class EchoGrpc
{
    private const string Service = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";
    private const int DefaultPort = 3000, DefaultTls = 8443;

    public static Task RunAsync(Func<string, string?> environment, EchoContext context, CancellationToken stop)
    {
        var (port, secure) = (EchoContext.Port(environment, "HTTP_PORT", DefaultPort), EchoContext.Port(environment, "HTTPS_PORT", DefaultTls));
        var certificate = EchoTls.Read(EchoBasicProgram.Name, environment("TLS_SERVER_CERT"), environment("TLS_SERVER_PRIV_KEY"));
        var app = EchoServers.Build(kestrel =>
        {
            kestrel.ListenAnyIP(port, listener => listener.Protocols = HttpProtocols.Http2);
            if (certificate is null) return;
            kestrel.ListenAnyIP(secure, listener =>
            {
                listener.Protocols = HttpProtocols.Http2;
                listener.UseHttps(certificate);
            });
        });
        foreach (var name in (string[])["Echo", "EchoTwo"])
        {
            var method = new GrpcMethod<EchoRequest, EchoResponse>(Service, name, EchoRequest.Parser, EchoResponse.Parser);
            app.MapUnary(method, (call, request) => Task.FromResult(Answer(call, request, method.Path, context)));
        }
        return EchoServers.RunAsync(EchoBasicProgram.Name, app, stop);
    }

    private static EchoResponse Answer(GrpcCall call, EchoRequest request, string method, EchoContext context)
    {
        var authority = call.Http.Request.Host.Value ?? "";
        var assertions = new Assertions
        {
            FullyQualifiedMethod = method,
            Authority = authority,
            Context = new() { Namespace = context.Namespace, Ingress = context.Ingress, ServiceName = context.Service, Pod = context.Pod },
            Headers = { new Header { Key = ":authority", Value = authority } },
        };
        assertions.Headers.AddRange(EchoHeaders.Of(call.Http.Request).Select(field => new Header { Key = field.Name.ToLowerInvariant(), Value = field.Value }));
        if (TlsFacts.Of(call.Http) is { } tls)
        {
            assertions.TlsAssertions = new()
            {
                Version = tls.Version, NegotiatedProtocol = tls.Protocol, ServerName = tls.ServerName, CipherSuite = tls.CipherSuite
            };
            assertions.TlsAssertions.PeerCertificates.AddRange(tls.PeerCertificates);
        }
        return new() { Assertions = assertions, Request = request };
    }
}
