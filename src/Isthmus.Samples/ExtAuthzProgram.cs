using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Samples.Http;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Auth;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Rpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Samples;

/// <summary>
/// An external authorizer, over HTTP and gRPC. It allows requests with the header <c>x-ext-authz: allow</c>, and over gRPC also calls without
/// the header, TCP connections among them, whose certificate has a certain service account.
/// </summary>
public static class ExtAuthzProgram
{
    private const string Asked = "x-ext-authz", Result = "x-ext-authz-check-result";
    private const string Refusal = $"denied by ext_authz for not found header `{Asked}: allow` in the request";

    // The flags of Istio's sample have one dash.
    private static readonly Flag<int> HttpPort = Flag.Port("--http", 8000, aliases: "-http"), GrpcPort = Flag.Port("--grpc", 9000, aliases: "-grpc");

    private static readonly Flag<string> Account = Flag.Text("--allow_service_account", "NAME", "a", "-allow_service_account");

    private static readonly FlagSet Flags = new("ext-authz", HttpPort, GrpcPort, Account);

    private static readonly GrpcMethod<CheckRequest, CheckResponse> Check = new("envoy.service.auth.v3.Authorization", "Check", CheckRequest.Parser,
        CheckResponse.Parser);

    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        var account = flags.Get(Account);
        await using var grpc = Grpc(flags.Get(GrpcPort), request => Answer(request, account));
        try
        {
            await grpc.StartAsync(stop).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new ProblemException("ext-authz", $"cannot listen on port {flags.Get(GrpcPort)}: {e.Message}",
                "choose another port, or stop the program that uses it", e);
        }
        return await Http.HttpService.RunAsync("ext-authz", Answer, new IPEndPoint(IPAddress.IPv6Any, flags.Get(HttpPort)), stop).ConfigureAwait(false);
    }

    /// <summary>The answer over HTTP: 200 allows a request.</summary>
    public static HttpReply Answer(HttpRequest request)
    {
        var allowed = request.Header(Asked) == "allow";
        var reply = allowed ? HttpReply.Text(200, "") : HttpReply.Text(403, Refusal, "text/plain");
        return reply.With(new KeyValuePair<string, string>(Result, Named(allowed)));
    }

    /// <summary>The answer over gRPC.</summary>
    /// <param name="account">Calls without the header are allowed if the caller's identity ends with <c>/sa/</c> and this name.</param>
    public static CheckResponse Answer(CheckRequest request, string account)
    {
        var attributes = request.Attributes ?? new();
        var allowed = attributes.Request?.Http is { } http && http.Headers.TryGetValue(Asked, out var asked)
            ? asked == "allow"
            : attributes.Source?.Principal.EndsWith($"/sa/{account}", StringComparison.Ordinal) == true;
        var header = new HeaderValueOption { Header = new() { Key = Result, Value = Named(allowed) } };
        return allowed
            ? new() { Status = new Status { Code = (int)GrpcCode.Ok }, OkResponse = new() { Headers = { header } } }
            : new()
            {
                Status = new Status { Code = (int)GrpcCode.PermissionDenied },
                DeniedResponse = new() { Status = new() { Code = StatusCode.Forbidden }, Headers = { header }, Body = Refusal }
            };
    }

    private static string Named(bool allowed) => allowed ? "allowed" : "denied";

    private static WebApplication Grpc(int port, Func<CheckRequest, CheckResponse> answer)
    {
        // A builder with defaults would watch files of settings, of which Linux allows each user few.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port, listener => listener.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.UseRouting();
        app.MapUnary(Check, (_, request) => Task.FromResult(answer(request)));
        return app;
    }
}
