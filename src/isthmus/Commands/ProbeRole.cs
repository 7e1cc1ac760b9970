using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Isthmus.Commands;

/// <summary><c>isthmus probe</c> in a Pod of <c>isthmus verify --probe</c>: answers HTTP, gRPC and TCP.</summary>
internal static class ProbeRole
{
    private const int HttpPort = 8080, GrpcPort = 8081, TcpPort = 9000;

    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        await ServeAsync(IPAddress.Any, stop);
        return 0;
    }

    /// <summary>Serves until it is stopped.</summary>
    internal static async Task ServeAsync(IPAddress address, CancellationToken stop)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(address, HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(address, GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
        });
        await using var app = builder.Build();
        app.Run(AnswerAsync);
        await app.StartAsync(stop);
        try
        {
            await GreetAsync(new IPEndPoint(address, TcpPort), stop);
        }
        finally
        {
            // Nobody waits for answers any more: open connections are closed at once.
            await app.StopAsync(new CancellationToken(canceled: true));
        }
    }

    private static Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Protocol == HttpProtocol.Http2)
        {
            // A response without messages has its status in the head.
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = "0";
            return Task.CompletedTask;
        }
        return context.Response.WriteAsync("probe\n", context.RequestAborted);
    }

    private static async Task GreetAsync(IPEndPoint at, CancellationToken stop)
    {
        using var listener = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(at);
        listener.Listen();
        var tasks = new BackgroundTasks(static (_, _) => { });
        try
        {
            while (true)
            {
                var client = await listener.AcceptAsync(stop);
                tasks.Start("greeting", () => GreetAsync(client, stop));
            }
        }
        catch (OperationCanceledException)
        {
        }
        await tasks.WhenEndedAsync();
    }

    private static async Task GreetAsync(Socket client, CancellationToken stop)
    {
        using var _ = client;
        try
        {
            await client.SendAsync(Encoding.ASCII.GetBytes("probe\n"), SocketFlags.None, stop);
            client.Shutdown(SocketShutdown.Send);
            var rest = new byte[16];
            while (await client.ReceiveAsync(rest, SocketFlags.None, stop) > 0)
            {
                // Until the client has nothing more to say.
            }
        }
        catch (SocketException)
        {
            // The client is gone.
        }
    }
}
