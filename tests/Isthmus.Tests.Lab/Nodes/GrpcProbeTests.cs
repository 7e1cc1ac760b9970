using System.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Probes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

/// <summary>The health protocol of gRPC against a real HTTP/2 server.</summary>
public sealed class GrpcProbeTests
{
    [Theory]
    [InlineData(1, "0", true, "")]
    [InlineData(2, "0", false, "service unhealthy (responded with status 2)")]
    [InlineData(1, "12", false, "health rpc failed with code 12")]
    public async Task A_server_is_as_healthy_as_it_says(byte status, string code, bool healthy, string message)
    {
        var asked = new List<string>();
        await using var server = await ServeAsync(async http =>
        {
            var question = new MemoryStream();
            await http.Request.Body.CopyToAsync(question);
            asked.Add($"{http.Request.Path} {http.Request.ContentType} {Convert.ToHexString(question.ToArray())}");
            http.Response.ContentType = "application/grpc";
            await http.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 0, 2, 8, status });
            http.Response.AppendTrailer("grpc-status", code);
        });
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var result = await GrpcProbe.AskAsync("127.0.0.1", new() { Port = server.Port, Service = "db" }, TestContext.Current.CancellationToken);
            Assert.Equal(new(healthy, message), result);
        }
        Assert.Equal(Enumerable.Repeat("/grpc.health.v1.Health/Check application/grpc 00000000040A026462", 2), asked);
    }

    [Fact]
    public async Task Nobody_there_is_a_failure_that_says_so() =>
        await Assert.ThrowsAsync<HttpRequestException>(() => GrpcProbe.AskAsync("127.0.0.1", new() { Port = 1 }, TestContext.Current.CancellationToken));

    private static async Task<Serving> ServeAsync(RequestDelegate answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.Run(answer);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new(app, new Uri(app.Urls.Single()).Port);
    }

    private sealed record Serving(WebApplication App, int Port) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => App.DisposeAsync();
    }
}
